# SPDX-License-Identifier: Apache-2.0
#
# make            the programs, in build/
# make test       everything; make check: the fast part
# make demo       the main job, on a real API server and real nodes
# make help       all targets

SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
# Characters and the order of names are the same for everybody.
export LC_ALL := C.UTF-8
# Where an ordinary user of Debian does not look for programs.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
VARIANT ?= release
BUILD := build/$(VARIANT)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What was compiled for one checkout serves the next, wherever that is.
export CCACHE_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/apparmor-operator/ccache
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
export CCACHE_MAXSIZE := 1G
CCACHE := $(shell command -v ccache)

PACKAGES := libcurl libcjson yaml-0.1 libapparmor libwebsockets libuv openssl
PKG_CONFIG ?= pkg-config

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla \
	-Wformat=2 -Wno-format-nonliteral -Wundef -Werror
HARDEN := -fstack-protector-strong -fPIE -fno-strict-overflow -fno-delete-null-pointer-checks
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
OPTIMIZE := -O2 -g
LINK_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifeq ($(VARIANT),asan)
OPTIMIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FORTIFY :=
endif
ifeq ($(VARIANT),fuzz)
CC := clang
OPTIMIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=all
FORTIFY :=
endif

CPPFLAGS += -I. -D_GNU_SOURCE $(FORTIFY)
CFLAGS += -std=gnu17 $(OPTIMIZE) $(WARNINGS) $(HARDEN)
LDFLAGS += $(LINK_HARDEN)
# Expanded when first used, so that `make deps` works before the packages are there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm)$(PKG_LIBS)
CRITERION_LIBS = $(eval CRITERION_LIBS := $(shell $(PKG_CONFIG) --libs criterion))$(CRITERION_LIBS)

# --- sources -----------------------------------------------------------------

ROOMS := base policy audit compile kube serve agent controller cli
DIR_base := lib/base
DIR_policy := lib/policy
DIR_audit := lib/audit
DIR_compile := lib/compile
DIR_kube := lib/kube
DIR_serve := lib/serve
DIR_agent := agent
DIR_controller := controller
DIR_cli := cli
# What each room is linked with, itself first.
LINK_base := base
LINK_policy := policy base
LINK_audit := audit base
LINK_compile := compile policy base
LINK_kube := kube base
LINK_serve := serve base
LINK_agent := agent serve kube compile policy audit base
LINK_controller := controller serve kube compile policy audit base
LINK_cli := cli kube compile policy audit base

PROGRAMS := $(patsubst cmd/%.c,%,$(wildcard cmd/*.c))
LINK_apparmor-agent := agent serve kube compile policy audit base
LINK_apparmor-controller := controller serve kube compile policy audit base
LINK_kubectl-apparmor := cli kube compile policy audit base

archives = $(patsubst %,$(BUILD)/lib%.a,$(1))
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))

.PHONY: all
all: $(addprefix $(BUILD)/,$(PROGRAMS))

define ROOM_RULES
$(BUILD)/lib$(1).a: $(call objects,$(DIR_$(1)))
	@rm -f $$@
	@$(AR) rcs $$@ $$^

$(BUILD)/tests/unit/$(1)/%_test: $(BUILD)/tests/unit/$(1)/%_test.o $(call archives,$(LINK_$(1)))
	@echo "  LINK  $$@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $$^ $$(CRITERION_LIBS) $$(PKG_LIBS)
endef
$(foreach room,$(ROOMS),$(eval $(call ROOM_RULES,$(room))))

define PROGRAM_RULE
$(BUILD)/$(1): $(BUILD)/cmd/$(1).o $(call archives,$(LINK_$(1)))
	@echo "  LINK  $$@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
endef
$(foreach program,$(PROGRAMS),$(eval $(call PROGRAM_RULE,$(program))))

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Holds the text of this file.
$(BUILD)/agent/self_profile.o: deploy/apparmor-agent.profile

# What is preloaded into apparmor_parser, and held by this file. It meets another program's libraries: no sanitizers.
PRELOAD := $(BUILD)/lib/compile/preload.so
PRELOAD_SOURCES := lib/compile/preload/server.c lib/compile/confine.c lib/compile/syscalls.c
$(PRELOAD): $(PRELOAD_SOURCES) $(wildcard lib/compile/preload/*.h) \
		lib/compile/confine.h lib/compile/syscalls.h Makefile
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) -I. -D_GNU_SOURCE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -std=gnu17 -O2 $(WARNINGS) $(HARDEN) \
		-fPIC -fvisibility=hidden -shared -s -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $(PRELOAD_SOURCES)
$(BUILD)/lib/compile/fork_server.o: CPPFLAGS += -DPRELOAD_FILE='"$(PRELOAD)"'
$(BUILD)/lib/compile/fork_server.o: $(PRELOAD)

# The version changes with each commit: only the file that shows it is rebuilt.
$(BUILD)/lib/base/options.o: CPPFLAGS += -DPROGRAM_VERSION='"$(VERSION)"'
$(BUILD)/lib/base/options.o: $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
.PHONY: FORCE
FORCE:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# --- reference pages ---------------------------------------------------------

DOCS_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard docs/generate/*.c))
$(BUILD)/docs/reference: $(DOCS_OBJECTS) $(call archives,agent controller cli serve kube compile policy audit base)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# All pages that are made of the definitions and the programs' tables.
.PHONY: docs
docs: all reference $(BUILD)/docs/reference
	@BUILD=$(BUILD) docs/generate/run

# --- tests -------------------------------------------------------------------

UNIT_TESTS = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*_test.c))
LIVE_TESTS = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/live/*_live.c))
FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 60

$(BUILD)/tests/live/%_live: $(BUILD)/tests/live/%_live.o $(call archives,serve kube compile policy base)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CRITERION_LIBS) $(PKG_LIBS)

# What a benchmark runs, beside its baseline.
$(BUILD)/tests/bench/%_bench: $(BUILD)/tests/bench/%_bench.o \
		$(call archives,agent serve kube compile policy audit base)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Run in a guest, to tell when its policy changed and when the agent is ready.
$(BUILD)/tests/bench/%_watch: $(BUILD)/tests/bench/%_watch.o
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Plays the agents of many nodes.
$(BUILD)/tests/storm/storm: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/storm/*.c)) \
		$(call archives,kube policy base)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Run in a guest, under a profile that forbids what it does.
$(BUILD)/tests/e2e/flood: $(BUILD)/tests/e2e/flood.o
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Preloaded into the agent as it ships.
$(BUILD)/tests/e2e/%.so: tests/e2e/%.c
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -Wl,-z,relro,-z,now -o $@ $< -ldl

$(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o \
		$(call archives,agent controller cli serve kube compile policy audit base)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# Plays another program, whose sandbox leaves no room for sanitizers.
$(BUILD)/tests/unit/%_parser: tests/unit/%_parser.c
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARNINGS) $(HARDEN) $(LINK_HARDEN) -o $@ $<
MISBEHAVING := $(BUILD)/tests/unit/compile/programs/misbehaving_parser
$(BUILD)/tests/unit/compile/misbehaviour_test.o: CPPFLAGS += -DPROGRAM='"$(MISBEHAVING)"'
$(BUILD)/tests/unit/compile/misbehaviour_test: | $(MISBEHAVING)

# The unit tests; `make unit T=kube/config` runs one.
.PHONY: unit
unit: $(if $(T),$(BUILD)/tests/unit/$(T)_test,$(UNIT_TESTS))
	@tests/unit/run $^

# lib/kube against real API servers at length: storms, large collections, rotations (make test runs a part).
.PHONY: live
live: deps
	@tests/live/run

# Every profile that Debian ships, on real kernels (make test takes each twelfth).
.PHONY: debian
debian: deps
	@DEBIAN_EVERY=1 CASES=tests/e2e/cases/40-debian.sh CLUSTER_DIR=build/debian tests/e2e/run

# The agent with each kernel and each AppArmor userspace that Debian has; MATRIX="6.12:4.1 sid:sid" selects.
.PHONY: matrix
matrix: deps
	@MATRIX="$(MATRIX)" tests/matrix/run

# The agent killed, failing, without power at every call that changes the node (make test has every third kill alone), and
# what else takes minutes.
FAULT_CASES := 30-nodes 50-crash 55-trouble long/*
.PHONY: faults
faults: deps
	@LONG=1 CASES='$(FAULT_CASES:%=tests/e2e/cases/%.sh)' CLUSTER_DIR=build/faults tests/e2e/run

# The controller in a storm: 500 nodes that come and go, 50 profiles that change, while the API server and the leader are
# restarted. STORM_NODES, STORM_PROFILES, STORM_SECONDS choose another.
.PHONY: storm
storm: deps
	@tests/storm/run

# Profiles learnt from nothing for busybox httpd, nginx and PostgreSQL, by what `kubectl apparmor suggest` says.
.PHONY: suggest
suggest: deps
	@NODE_OPTIONS='--memory 1024' CASES='tests/e2e/cases/65-suggest.sh tests/e2e/cases/suggest/*.sh' CLUSTER_DIR=build/suggest tests/e2e/run

.PHONY: live-tests
live-tests: $(LIVE_TESTS)

.PHONY: check
check: deps
	@$(MAKE) --no-print-directory all lint unit

.PHONY: test
test: deps
	@tests/run

# All that the API server and others ask of the webhooks, with the controller under AddressSanitizer and UBSan (make test
# has it as it ships), and with certificates of a real cert-manager.
.PHONY: admission
admission: deps
	@BUILD=build/asan tests/admission/run webhooks certmanager

# Real nodes at length: upgrades, nodes that come and go (make test takes a part), and the demo, whose commands are in README.md.
# ONLY=text selects.
.PHONY: nodes
nodes: deps
	@tests/nodes/run
	@[ -n "$(ONLY)" ] || tests/e2e/demo >build/demo.log

# From an earlier revision to this one and back, in every order, under confined processes. UPGRADE_FROM, ORDERS select.
.PHONY: upgrade
upgrade: deps
	@tests/upgrade/run

# What the tests run on, by itself: virtual machines and the control plane.
.PHONY: rigs
rigs: deps
	@tests/run vm controlplane

.PHONY: asan
asan:
	@$(MAKE) --no-print-directory VARIANT=asan unit

.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(BUILD)/tests/fuzz/%_fuzz)

# Each target for FUZZ_SECONDS; FUZZ=name selects one.
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
	@tests/fuzz/run $(FUZZ_SECONDS) $(if $(FUZZ),$(FUZZ),$(FUZZERS))

# BENCH=name selects.
.PHONY: bench
bench: deps all
	@tests/bench/run $(BENCH)

.PHONY: demo
demo: deps
	@KEEP=$(KEEP) tests/e2e/demo

.PHONY: demo-stop
demo-stop:
	@tests/e2e/demo stop

# Images of the programs as archives in build/image, from the packages of this machine.
.PHONY: image
image: all
	@deploy/image/build $(BUILD) build/image

# The Helm chart as one file, in build/chart, for a registry or a HelmRelease.
.PHONY: chart
chart:
	@mkdir -p build/chart
	@"$$(tests/install/build.sh)"/helm package --destination build/chart deploy/helm/apparmor-operator 2>/dev/null

# The pages of docs/ that are made of tables in the code; a test sees that they are.
.PHONY: reference
reference: $(BUILD)/tests/unit/controller/reasons_test
	@WRITE_REFERENCE=1 tests/unit/run $^

# --- the house ---------------------------------------------------------------

C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: lint
lint:
	@tests/lint

.PHONY: format
format:
	@clang-format -i $(C_FILES)

.PHONY: compile_commands.json
compile_commands.json:
	@tests/compile-commands $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) > $@

PREFIX ?= /usr/local
.PHONY: install
install: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(addprefix $(BUILD)/,$(PROGRAMS)) cli/kubectl_complete-apparmor

.PHONY: clean
clean:
	rm -rf build compile_commands.json

# --- what it takes -----------------------------------------------------------

DEPS := gcc make git ccache pkg-config libcurl4-openssl-dev libcjson-dev libyaml-dev libapparmor-dev \
	libwebsockets-dev libwebsockets-evlib-uv libuv1-dev libssl-dev libcriterion-dev \
	clang clang-format libclang-rt-dev apparmor apparmor-profiles apparmor-profiles-extra \
	qemu-system-x86 qemu-utils busybox-static cpio kmod e2fsprogs jq ca-certificates \
	patch patchelf debian-archive-keyring xz-utils zstd curl openssl
# The programs and their images alone: no tests, no demo.
BUILD_DEPS := gcc make git pkg-config libcurl4-openssl-dev libcjson-dev libyaml-dev libapparmor-dev \
	libwebsockets-dev libwebsockets-evlib-uv libuv1-dev libssl-dev apparmor jq

.PHONY: deps build-deps
deps:
	@tests/deps $(DEPS)
build-deps:
	@tests/deps $(BUILD_DEPS)

.PHONY: help
help:
	@echo 'make            the programs, in $(BUILD)/'
	@echo 'make deps       install the Debian packages that building and testing need; build-deps: building alone'
	@echo 'make demo       two real nodes with kubelet and containerd; KEEP=1 leaves them running, demo-stop ends them'
	@echo 'make image      container images of the programs, as archives in build/image'
	@echo 'make chart      the Helm chart as a file, in build/chart'
	@echo 'make test       all tests; make check: lint and unit tests only'
	@echo 'make nodes      all tests on real nodes: upgrades, nodes that come and go (ONLY=text selects)'
	@echo 'make upgrade    from an earlier revision and back, in every order of its parts (UPGRADE_FROM=revision)'
	@echo 'make rigs       the rigs themselves: virtual machines, the control plane'
	@echo 'make live       the Kubernetes client against storms, large collections, rotations'
	@echo 'make admission  the admission webhooks with AddressSanitizer and UndefinedBehaviorSanitizer, and with cert-manager'
	@echo 'make storm      the controller over 500 nodes and 50 profiles that never stand still, itself restarted all the time'
	@echo 'make debian     every AppArmor profile of the distribution, on real kernels'
	@echo 'make matrix     the agent on Debian 12, 13 and sid: each kernel with each AppArmor (MATRIX="6.12:4.1 ...")'
	@echo 'make faults     the agent killed, failing or without power at each of its steps'
	@echo 'make suggest    profiles learnt from nothing, for real applications'
	@echo 'make asan       unit tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make fuzz       fuzz targets (FUZZ=name, FUZZ_SECONDS=60)'
	@echo 'make bench      benchmarks (BENCH=name); figures in build/bench.jsonl'
	@echo 'make lint       style and dependency rules; make format: clang-format'
	@echo 'make docs       the pages of docs/ that are made of tables in the code'
	@echo 'make install    to $$DESTDIR$$PREFIX; make clean'

.SECONDARY:
