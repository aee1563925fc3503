# droplet-conn's front door.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DURATION ?= 3600
RELEASE ?= trixie

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# Where Cargo builds, and what is made of that. A source folder may be read-only.
TARGET := $(or $(CARGO_TARGET_DIR),target)
$(if $(word 2,$(TARGET)),$(error CARGO_TARGET_DIR has blanks, which make cannot handle: $(TARGET)))
BUILT := $(TARGET)/$(CARGO_BUILD_TARGET:%=%/)release
LIB := $(TARGET)/lib
PACKAGES := libdroplet libdroplet_conn droplet-conn-command
LIBRARIES := $(LIB)/libdroplet_conn.so.0 $(LIB)/libdroplet_conn_static.a $(LIB)/libdroplet_conn.so \
	$(LIB)/standalone/libdroplet.so.0
LINKED := libdroplet_conn_needed.o libdroplet_conn_static.a libdroplet_conn.so libdroplet_conn.a
TESTS_C := $(MAKE) --silent --no-print-directory -C tests-c CONN=$(abspath $(LIB))
LONG = $(basename $(notdir $(shell grep -l soak_wanted tests-c/*.c)))
TO = $(DESTDIR)$(LIBDIR)
HEADERS_TO = $(DESTDIR)$(INCLUDEDIR)/droplet-3.0
# In the folder of Droplet's own headers.
DROPLETS_HEADERS := $(patsubst include/droplet-3.0/%,%,$(wildcard include/droplet-3.0/*.h include/droplet-3.0/droplet/*.h))
PAGES := $(wildcard docs/man/*.[137])
# Licences have to go with binaries.
LICENCES := LICENSE THIRD-PARTY.txt
LICENCES_TO = $(DESTDIR)$(DOCDIR)/libdroplet_conn
STANDALONE_LICENCES_TO = $(DESTDIR)$(DOCDIR)/libdroplet
# Folders that may be shared: others may have put files there.
REMOVE_EMPTY = for folder in $(1); do [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done
# What the shell takes for more than a name within double quotes, and what sed and pkg-config do as well. They would
# write other paths than those that were meant, and say nothing. DESTDIR may have blanks: it is in no file.
HASH := \#
IN_QUOTES := " \ ` $$
IN_FILES := $(IN_QUOTES) & | ' $(HASH) ; < > ( ) * ?
REFUSE = $(foreach variable,$(1),$(foreach character,$(2),$(if $(findstring $(character),$($(variable))),\
	$(error $(variable) has the character $(character), which cannot be installed: $($(variable))))))
REFUSE_BLANKS = $(foreach variable,$(1),$(if $(word 2,x$($(variable))x),\
	$(error $(variable) has blanks, which cannot stand in a pkg-config file: $($(variable)))))
# They would depend on the folder in which make runs, and a pkg-config file on that of its user.
REFUSE_RELATIVE = $(foreach variable,$(1),$(if $(filter-out /%,$(firstword $($(variable)))),\
	$(error $(variable) is not an absolute path: $($(variable)))))
IN_A_FILE := PREFIX LIBDIR INCLUDEDIR DOCDIR
REFUSE_NAMES = $(call REFUSE_BLANKS,$(IN_A_FILE))$(call REFUSE,$(IN_A_FILE),$(IN_FILES))\
	$(call REFUSE,DESTDIR BINDIR MANDIR,$(IN_QUOTES))$(call REFUSE_RELATIVE,$(IN_A_FILE) BINDIR MANDIR)
FILL_IN = sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|'

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-26s %s\n", $$1, $$2 }' Makefile

all: $(LIBRARIES) $(BUILT)/droplet-conn ## build the libraries into target/lib (or lib of CARGO_TARGET_DIR), and the command

demo: ## three HTTP servers, one of which dies, and a C program that does not notice
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory all demo-program
	LD_PRELOAD=$(abspath $(LIB))/libdroplet_conn.so.0 target/tests-c/3.0/preload/demo
	@echo
	DROPLET_TEST_TLS=1 LD_PRELOAD=$(abspath $(LIB))/libdroplet_conn.so.0 target/tests-c/3.0/preload/demo

test: ## everything that a change can break: format, lints, Rust tests, C programs
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory all
	@scripts/test.sh test

valgrind: ## the C programs under valgrind: PARTS= (plain alone tls)
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory all
	@scripts/test.sh valgrind

msrv: ## all code and the unit tests with the oldest Rust that may build it: RUSTC_MSRV=
	@scripts/msrv.sh

distribution: ## build and test in a root of another release of Debian: RELEASE= (trixie)
	@scripts/setup.sh roots
	@scripts/root.sh $(RELEASE) sh -c 'scripts/setup.sh distribution && make all && scripts/test.sh distribution'

asan: ## the C programs with AddressSanitizer, LeakSanitizer and UBSan
	@scripts/setup.sh memory
	@scripts/asan.sh

allocations: all ## every allocation on every path fails in turn
	@scripts/setup.sh memory
	@scripts/allocations.sh

models: ## the library's own concurrency in model checkers: MODEL_ITERATIONS= (2000)
	@scripts/models.sh

tsan: ## the C programs that have threads, with ThreadSanitizer
	@scripts/setup.sh threads
	@scripts/tsan.sh

cross: ## the libraries and the command for another architecture, tested in emulation: ARCH= (arm64)
	@scripts/setup.sh cross
	@scripts/cross.sh $(or $(ARCH),arm64)

soak: all ## an hour with servers that fail at random: DURATION= (3600, seconds) SEED=
	@scripts/setup.sh soak
	@$(TESTS_C) soak
	@PYTHONDONTWRITEBYTECODE=1 python3 tests-c/soak/run.py --seconds $(DURATION) $(SEED:%=--seed %) --out target/soak \
		--library $(abspath $(LIB))/libdroplet_conn.so.0 --programs $(CURDIR)/target/tests-c/soak

long-tests: all ## the tests that have a long form, in that form
	@scripts/setup.sh test
	@$(TESTS_C) preload
	DROPLET_TEST_SOAK=1 CONN=$(abspath $(LIB)) LAYOUTS=3.0 MODES=preload tests-c/run.sh $(LONG)
	DROPLET_TEST_SOAK=1 DROPLET_TEST_TLS=1 CONN=$(abspath $(LIB)) LAYOUTS=3.0 MODES=preload tests-c/run.sh $(LONG)

coverage: ## which lines the tests run: a report in target/coverage, compared with docs/coverage.md
	@scripts/setup.sh coverage
	@scripts/coverage.sh

mutants: ## changes to the code that no test notices: FILES= (a part of a path) SHARD= (such as 0/8) DIFF= (a file)
	@scripts/setup.sh mutants
	PATH=$(CURDIR)/target/tools/bin:$$PATH CARGO_INCREMENTAL=1 cargo mutants --package droplet-client --output target \
		$(FILES:%=--re '%') $(SHARD:%=--shard %) $(DIFF:%=--in-diff %)

header: ## regenerate what is in include, and the pages of docs/man that come from it
	UPDATE_HEADER=1 cargo test --locked --test header --test droplet_headers --test interface --test man_pages \
		-- --test-threads=1

bench: all ## what checkouts, connects and writes cost beside the bare system calls
	@scripts/setup.sh test
	@benches/run.sh

fuzz: ## inputs that break the library are searched for: FUZZ_SECONDS= for each target (600), FUZZ_TARGETS=
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh run $${FUZZ_SECONDS:-600}

fuzz-smoke: ## the same, a minute for each target
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$${FUZZ_SECONDS:-60}

simulate: ## random histories on a simulated network and clock: HISTORIES= (20000, some minutes)
	cargo run --locked --release --quiet -p simulation -- --histories $${HISTORIES:-20000}

simulation-mutations: ## bring defects of the past back, and see the simulation find each
	crates/simulation/mutations.sh

licences: ## the licences, versions, sources and advisories of all crates; writes THIRD-PARTY.txt
	@scripts/setup.sh licences
	UPDATE_LICENCES=1 cargo test --locked --test licences
	@scripts/licences.sh

# These build nothing, and need no Cargo: root may have none. What is built in the same run of make comes first.
install install-standalone: | $(filter all,$(MAKECMDGOALS))

install: ## what `make all` built: PREFIX= (/usr/local) LIBDIR= INCLUDEDIR= DOCDIR= BINDIR= MANDIR= DESTDIR=
	$(REFUSE_NAMES)
	@scripts/is-built.sh $(LIB)/libdroplet_conn.so.0 $(LINKED:%=$(LIB)/%) $(BUILT)/droplet-conn
	install -d "$(TO)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)"
	install -m 755 $(LIB)/libdroplet_conn.so.0 "$(TO)/libdroplet_conn.so.$(VERSION)"
	ln -sf libdroplet_conn.so.$(VERSION) "$(TO)/libdroplet_conn.so.0"
	install -m 644 $(LINKED:%=$(LIB)/%) "$(TO)"
	install -m 644 include/droplet_conn.h "$(DESTDIR)$(INCLUDEDIR)"
	$(FILL_IN) droplet_conn.pc.in >"$(TO)/pkgconfig/droplet_conn.pc"
	install -d "$(LICENCES_TO)"
	install -m 644 $(LICENCES) "$(LICENCES_TO)"
	install -D -m 755 $(BUILT)/droplet-conn "$(DESTDIR)$(BINDIR)/droplet-conn"
	for page in $(PAGES); do install -D -m 644 $$page "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; done

install-strip: install ## the same without line numbers: those go to LIBDIR/.debug, where debuggers look
	scripts/strip.sh "$(TO)" libdroplet_conn.so.$(VERSION) libdroplet_conn_static.a
	strip "$(DESTDIR)$(BINDIR)/droplet-conn"

uninstall: ## with the variables that install had
	$(REFUSE_NAMES)
	rm -f $(LINKED:%="$(TO)"/%) "$(TO)"/libdroplet_conn.so.0 "$(TO)"/libdroplet_conn.so.$(VERSION) \
		"$(TO)"/.debug/libdroplet_conn.so.$(VERSION).debug "$(TO)"/pkgconfig/droplet_conn.pc \
		"$(DESTDIR)$(INCLUDEDIR)"/droplet_conn.h "$(DESTDIR)$(BINDIR)/droplet-conn"
	for page in $(PAGES); do rm -f "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; done
	rm -f $(LICENCES:%="$(LICENCES_TO)"/%)
	$(call REMOVE_EMPTY,"$(TO)"/.debug "$(LICENCES_TO)")

# Not part of the above: where there is a Droplet it would take its place.
install-standalone: ## libdroplet.so.0 and its headers, where there is no Droplet; variables as above
	$(REFUSE_NAMES)
	@scripts/is-built.sh $(LIB)/standalone/libdroplet.so.0
	install -d "$(TO)/pkgconfig" "$(HEADERS_TO)/droplet"
	install -m 755 $(LIB)/standalone/libdroplet.so.0 "$(TO)/libdroplet.so.$(VERSION)"
	ln -sf libdroplet.so.$(VERSION) "$(TO)/libdroplet.so.0"
	ln -sf libdroplet.so.0 "$(TO)/libdroplet.so"
	install -m 644 include/droplet-3.0/droplet.h include/droplet_conn.h "$(HEADERS_TO)"
	install -m 644 include/droplet-3.0/droplet/*.h "$(HEADERS_TO)/droplet"
	$(FILL_IN) droplet-3.0.pc.in >"$(TO)/pkgconfig/droplet-3.0.pc"
	install -d "$(STANDALONE_LICENCES_TO)"
	install -m 644 $(LICENCES) "$(STANDALONE_LICENCES_TO)"

install-standalone-strip: install-standalone ## the same without line numbers, as in install-strip
	scripts/strip.sh "$(TO)" libdroplet.so.$(VERSION)

uninstall-standalone: ## with the variables that install-standalone had
	$(REFUSE_NAMES)
	@scripts/uninstall-standalone.sh "$(TO)" $(VERSION) "$(HEADERS_TO)" $(DROPLETS_HEADERS)
	rm -f $(LICENCES:%="$(STANDALONE_LICENCES_TO)"/%)
	$(call REMOVE_EMPTY,"$(HEADERS_TO)"/droplet "$(HEADERS_TO)" "$(TO)"/.debug "$(STANDALONE_LICENCES_TO)")

dist: ## an archive of the sources of HEAD and of the crates they need, which builds without a network
	@packaging/dist.sh $(TARGET)/dist $(PACKAGES)

deb: ## the Debian packages of HEAD, in target/dist
	@scripts/setup.sh deb
	@packaging/deb.sh "$$(packaging/dist.sh $(TARGET)/dist $(PACKAGES))" $(TARGET)/dist

deb-check: ## build, install, use and remove them in clean roots of Debian, as root: SUITES= (bookworm trixie)
	@scripts/setup.sh roots
	@archive=$$(packaging/dist.sh $(TARGET)/dist $(PACKAGES)) && for suite in $(or $(SUITES),bookworm trixie); do \
		packaging/check.sh $$suite $$archive $(TARGET)/packages || exit 1; done

rpm: ## the RPMs of HEAD, in target/dist
	@scripts/setup.sh rpm
	@packaging/rpm.sh "$$(packaging/dist.sh $(TARGET)/dist $(PACKAGES))" $(TARGET)/dist

clean: ## remove all that was built
	cargo clean

# ---- steps of the above ----

# The plus passes the job server on: make does not recognise TESTS_C as a make.
c-programs: $(LIBRARIES) ## build the C programs of tests-c
	+$(TESTS_C) all

c-host:
	+$(TESTS_C) host

demo-program: $(LIBRARIES)
	+$(TESTS_C) ../target/tests-c/3.0/preload/demo

# Removed first: programs may be running on it.
$(LIB)/libdroplet_conn.so.0: $(BUILT)/libdroplet_conn.so Makefile
	@mkdir -p $(@D)
	cp --remove-destination $< $@

$(LIB)/libdroplet_conn_static.a: $(BUILT)/libdroplet_conn.a exports.txt scripts/static-library.sh
	scripts/static-library.sh $< exports.txt $@ dplx_

# What -ldroplet_conn finds.
$(LIB)/libdroplet_conn.so $(LIB)/libdroplet_conn.a $(LIB)/libdroplet_conn_needed.o &: \
		exports.txt scripts/linker-scripts.sh scripts/needed.c | $(LIB)/libdroplet_conn.so.0
	CC='$(CC)' scripts/linker-scripts.sh exports.txt $(@D)

# It has its own folder. In that of the others, a linker would find it instead of Droplet.
$(LIB)/standalone/libdroplet.so.0: $(BUILT)/libdroplet.so
	@mkdir -p $(@D)
	@rm -f $(LIB)/libdroplet.so $(LIB)/libdroplet.so.0
	cp --remove-destination $< $@
	ln -sf $(@F) $(@D)/libdroplet.so

# Cargo knows best whether there is anything to do. The plus: it shares the job server of make.
$(BUILT)/libdroplet_conn.so $(BUILT)/libdroplet_conn.a $(BUILT)/libdroplet.so $(BUILT)/droplet-conn &: always
	+scripts/build.sh $(TARGET) $(PACKAGES:%=--package %)

.PHONY: help all demo test valgrind msrv distribution cross asan allocations models tsan soak long-tests coverage \
	mutants header bench fuzz fuzz-smoke licences simulate simulation-mutations install install-strip uninstall \
	install-standalone install-standalone-strip uninstall-standalone dist deb deb-check rpm clean c-programs c-host \
	demo-program always
.DELETE_ON_ERROR:
