{{- /*
SPDX-License-Identifier: Apache-2.0

The objects are those of deploy/base and crds, which the chart holds as they are. What the values say is put into them
here, so that there is one place that says what the operator consists of.
*/ -}}

{{- define "apparmor.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}

{{- /* A pod template takes what the values of its program say. Takes a list: the template, the values, the image, all values. */ -}}
{{- define "apparmor.pod" -}}
{{- $template := index . 0 -}}
{{- $values := index . 1 -}}
{{- $image := index . 2 -}}
{{- $images := index . 3 -}}
{{- $pod := $template.spec -}}
{{- $container := first $pod.containers -}}
{{- $_ := set $container "image" (include "apparmor.image" $image) -}}
{{- with $images.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- with $images.pullSecrets }}
{{- $secrets := list -}}
{{- range . }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- $_ := set $pod "imagePullSecrets" $secrets -}}
{{- end -}}
{{- with $values.extraArgs }}{{ $_ := set $container "args" (concat $container.args .) }}{{ end -}}
{{- with $values.resources }}{{ $_ := set $container "resources" . }}{{ end -}}
{{- with $values.nodeSelector }}{{ $_ := set $pod "nodeSelector" (merge (dict) . $pod.nodeSelector) }}{{ end -}}
{{- with $values.tolerations }}{{ $_ := set $pod "tolerations" . }}{{ end -}}
{{- $_ := set $pod "priorityClassName" $values.priorityClassName -}}
{{- with $values.podAnnotations }}{{ $_ := set $template.metadata "annotations" . }}{{ end -}}
{{- with $values.podLabels }}{{ $_ := set $template.metadata "labels" (merge (dict) $template.metadata.labels .) }}{{ end -}}
{{- end -}}

{{- /* Adds what a kustomize patch (a list of JSON patch operations) adds. Takes a list: the object, the operations. */ -}}
{{- define "apparmor.patch" -}}
{{- $object := index . 0 -}}
{{- range index . 1 -}}
{{- if ne .op "add" }}{{ fail (printf "the chart knows how to add to an object, not how to %s" .op) }}{{ end -}}
{{- $keys := rest (splitList "/" .path) -}}
{{- $append := eq (last $keys) "-" -}}
{{- if $append }}{{ $keys = initial $keys }}{{ end -}}
{{- $target := $object -}}
{{- range initial $keys -}}
{{- if kindIs "slice" $target }}{{ $target = index $target (int .) }}{{ else }}{{ $target = index $target . }}{{ end -}}
{{- end -}}
{{- $key := last $keys -}}
{{- $value := .value -}}
{{- if $append }}{{ $value = append (index $target $key) $value }}{{ end -}}
{{- $_ := set $target $key $value -}}
{{- end -}}
{{- end -}}

{{- /* Where the controllers go. Takes the pod's spec. */ -}}
{{- define "apparmor.spread" -}}
{{- $selector := dict "matchLabels" (dict "app.kubernetes.io/name" "apparmor-controller") -}}
{{- $hash := list "pod-template-hash" -}}
{{- $hosts := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "DoNotSchedule"
    "labelSelector" $selector "matchLabelKeys" $hash -}}
{{- $zones := dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway"
    "labelSelector" $selector "matchLabelKeys" $hash -}}
{{- $_ := set . "topologySpreadConstraints" (list $hosts $zones) -}}
{{- end -}}

{{- /* Whether an object is wanted at all. Takes a list: the object, all values. */ -}}
{{- define "apparmor.wanted" -}}
{{- $object := index . 0 -}}
{{- $values := index . 1 -}}
{{- if eq $object.kind "Namespace" -}}{{ if $values.namespace.create }}yes{{ end }}
{{- else if eq $object.kind "CustomResourceDefinition" -}}{{ if $values.crds.install }}yes{{ end }}
{{- else if eq $object.kind "PodDisruptionBudget" -}}{{ if gt (int $values.controller.replicas) 1 }}yes{{ end }}
{{- else if has $object.metadata.name (list "apparmor-view" "apparmor-edit") -}}{{ if $values.roles.install }}yes{{ end }}
{{- else -}}yes
{{- end -}}
{{- end -}}

{{- /* The object with what the values say in it. Takes a list: the object, all values, the files of the chart. */ -}}
{{- define "apparmor.adapt" -}}
{{- $object := index . 0 -}}
{{- $values := index . 1 -}}
{{- $files := index . 2 -}}
{{- $labels := dict "app.kubernetes.io/part-of" "apparmor-operator" -}}
{{- $_ := set $object.metadata "labels" (merge $labels ($object.metadata.labels | default dict)) -}}
{{- if and (eq $object.kind "CustomResourceDefinition") $values.crds.keep -}}
{{- $keep := dict "helm.sh/resource-policy" "keep" -}}
{{- $_ := set $object.metadata "annotations" (merge $keep ($object.metadata.annotations | default dict)) -}}
{{- else if eq $object.kind "DaemonSet" -}}
{{- if $values.metrics.enabled -}}
{{- include "apparmor.patch" (list $object (fromYamlArray ($files.Get "metrics/agent.yaml"))) -}}
{{- end -}}
{{- include "apparmor.pod" (list $object.spec.template $values.agent $values.images.agent $values.images) -}}
{{- $_ := set $object.spec.updateStrategy.rollingUpdate "maxUnavailable" $values.agent.maxUnavailable -}}
{{- else if eq $object.kind "Deployment" -}}
{{- if $values.webhooks.enabled -}}
{{- include "apparmor.patch" (list $object (fromYamlArray ($files.Get "webhooks/deployment.yaml"))) -}}
{{- end -}}
{{- if $values.metrics.enabled -}}
{{- include "apparmor.patch" (list $object (fromYamlArray ($files.Get "metrics/controller.yaml"))) -}}
{{- end -}}
{{- include "apparmor.pod" (list $object.spec.template $values.controller $values.images.controller $values.images) -}}
{{- $_ := set $object.spec "replicas" (int $values.controller.replicas) -}}
{{- if eq $values.controller.spread "Required" }}{{ include "apparmor.spread" $object.spec.template.spec }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* As deploy/prometheus generates it. Takes the files of the chart. */ -}}
{{- define "apparmor.dashboard" -}}
{{- $labels := dict "app.kubernetes.io/part-of" "apparmor-operator" "grafana_dashboard" "1" -}}
{{- $metadata := dict "name" "apparmor-dashboard" "namespace" "apparmor-system" "labels" $labels -}}
{{- $data := dict "dashboard.json" (.Get "prometheus/dashboard.json") -}}
{{- toYaml (dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" $metadata "data" $data) -}}
{{- end -}}
