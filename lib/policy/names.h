// SPDX-License-Identifier: Apache-2.0
#pragma once

/* Names that agents, controller, plugin and users' manifests have agreed on (docs/api.md). */

/* Where the operator's own objects are, unless a flag says otherwise. */
#define POLICY_NAMESPACE "apparmor-system"

/* Of Nodes; after the prefix comes the AppArmorProfile's name. */
#define POLICY_NODE_ENABLED "apparmor.io/enabled"
#define POLICY_NODE_PROFILE "apparmor.io/profile-"

/* Of the ControllerRevisions that keep the texts of an AppArmorProfile. */
#define POLICY_TEXT_PROFILE "apparmor.io/profile"
#define POLICY_TEXT_REVISION "apparmor.io/revision"
