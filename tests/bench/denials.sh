# shellcheck shell=bash
# Audit records through parsing and attribution, beside a Go program that does the same with regular expressions: the
# records that real kernels made, as if now, by processes of a hundred containers.
BENCH_DIR=build/bench-denials
PROCESSES=100
ROUNDS=2000

bench_prepare() {
    local i uid
    rm -rf "$BENCH_DIR"
    mkdir -p "$BENCH_DIR/proc/2"
    echo kthreadd >"$BENCH_DIR/proc/2/comm"
    for i in $(seq "$PROCESSES"); do
        mkdir "$BENCH_DIR/proc/$((1000 + i))"
        printf -v uid '1f7a8a70_9b0c_4d4e_8a53_%012x' "$i"
        printf '0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%s.slice/cri-containerd-%064x.scope\n' \
            "$uid" "$i" >"$BENCH_DIR/proc/$((1000 + i))/cgroup"
        printf '%d (web) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 4096 1\n' $((1000 + i)) \
            >"$BENCH_DIR/proc/$((1000 + i))/stat"
    done
    sed -n 's/^1400 audit([^)]*):\( apparmor="[DAK].*\)/\1/p' tests/audit/records/*.txt | grep -v ' namespace=' |
        LC_ALL=C awk -v now="$(date +%s)" -v processes="$PROCESSES" '{
            sub(/ pid=[0-9]+/, " pid=" 1001 + NR % processes); print "audit(" now ".000:" NR "):" $0 }' \
            >"$BENCH_DIR/records"
    make --no-print-directory -s "build/release/tests/bench/denials_bench" && CLIENTGO=$(tests/bench/clientgo/build.sh)
}

bench_denials() {
    local ours theirs ours_distinct theirs_distinct
    read -r ours ours_distinct < <(build/release/tests/bench/denials_bench "$BENCH_DIR/proc" "$BENCH_DIR/records" "$ROUNDS")
    read -r theirs theirs_distinct < <("$CLIENTGO/denials" "$BENCH_DIR/proc" "$BENCH_DIR/records" "$ROUNDS")
    echo "denials: ours $((1000000000 / ours)) records for each second of CPU, $ours_distinct distinct; Go and regular" \
        "expressions $((1000000000 / theirs)), $theirs_distinct distinct" >&2
    [ "$ours_distinct" = "$theirs_distinct" ] || { echo 'they have not found the same' >&2; return 1; }
    figure denials.record_cpu "$ours" ns 'Go with regular expressions' "$theirs" 0.25
}

bench_prepare && bench_denials
