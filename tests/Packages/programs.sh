#!/bin/bash
# Real programs on data that they make themselves. For each a line "CHECK name checksum status seconds": the checksum of its output, the
# processor time of user and system. Natively and in a guest all but the seconds must be the same.
# A host's FMA, which a guest doesn't have, rounds differently.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA
export LC_ALL=C TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONHASHSEED=0
only=${1:-.}
work=$(mktemp -d /var/tmp/programs.XXXXXX)
cd "$work" || exit 1
TIMEFORMAT='%U %S'

check() {
    local name=$1 status sum spent
    shift
    [[ $name =~ $only ]] || return 0
    { time bash -c "$*" > out 2> err < /dev/null; } 2> spent
    status=$(tail -n 1 status 2> /dev/null)
    sum=$(cat out err | sha256sum | cut -c 1-16)
    read -r user system < spent
    spent=$(gawk -v u="$user" -v s="$system" 'BEGIN { printf "%.2f", u + s }')
    echo "CHECK $name $sum ${status:-0} $spent"
    if [[ -n $KEEP ]]; then
        mkdir -p "$KEEP" && cat out err > "$KEEP/$name"
    fi
}

# Text and noise, the same everywhere.
[[ -e /dev/fd ]] || ln -s /proc/self/fd /dev/fd
seq 1 20000 | gawk '{ print $1, ($1 * 7919) % 10007, sin($1), "line " ($1 % 97) }' > text
head -c 400000 /dev/zero | openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv 00 > noise 2> /dev/null
cat text noise > mixed
check inputs 'sha256sum text noise mixed'

check bzip2 'bzip2 -9 < mixed | tee z | sha1sum; bunzip2 < z | sha1sum'
check gzip 'gzip -9n < mixed | tee z | sha1sum; gunzip < z | sha1sum'
check xz 'xz -4 -T1 < mixed | tee z | sha1sum; unxz < z | sha1sum'
check zstd 'zstd -9 --single-thread -q < mixed | tee z | sha1sum; zstd -dq < z | sha1sum'
check sums 'for s in cksum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum sum; do $s < mixed; done'
check digests 'for d in md5 sha1 sha256 sha512 sha3-256 blake2s256 ripemd160 sm3; do openssl dgst -$d < mixed; done'
check ciphers 'for c in aes-256-cbc aes-128-gcm aes-256-ctr chacha20 camellia-128-cbc des-ede3-cbc aria-128-cbc; do echo $c; openssl enc -$c -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -nosalt < mixed 2>&1 | sha1sum; done'
check kdf 'openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:x -kdfopt salt:y -kdfopt iter:2000 PBKDF2; openssl passwd -6 -salt abcdefgh secret; openssl passwd -1 -salt abcd secret'
check prime 'openssl prime 170141183460469231731687303715884105727 170141183460469231731687303715884105729; openssl prime -hex FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF'
check sort 'sort -k2,2n -k1,1r text | sha1sum; sort -R --random-source=noise text | sha1sum; sort -u -k4 text | head -n 20; sort -g -k3,3 text | sed -n 1~5000p; shuf --random-source=noise -n 5 text'
check tools 'wc mixed; cut -d" " -f2 text | uniq -c | tail -n 3; tr a-z A-Z < text | fold -w 17 | paste -s -d+ | head -c 400; od -An -tfD -N 160 noise; od -An -tx2 -N 64 noise; expr 123456789 \* 987654321; comm -12 <(sort text) <(sort -r text | sort) | wc; split -n 7 mixed; sum x??; base64 noise | head -n 3; tac text | head -n 2; join -j 1 <(sort text | head -n 50) <(sort text | tail -n +10 | head -n 50) | wc; nl text | tail -n 1; pr -3 text | head -n 20 | tail -n 12; numfmt --to=iec 123456789 5000000000; seq -f %.3g 0.1 0.7 9; printf "%a %.17g %x\n" 0.1 2.5e-5 255'
check factor 'factor 1234567890123456789 18446744073709551557 $(seq 1000000007 1000000037)'
check sed 'sed -E "s/([0-9]+) ([0-9]+)/\2-\1/; /77/d; y/abc/xyz/; \$!N; P; D" text | sha1sum'
check grep 'grep -cE "(12|34)+5" text; grep -o "[1-9]\{3\}$" text | sort | uniq -c | sort -rn | head -n 5; grep -nP "^(\d)(\d)\2\1 " text | tail -n 3'
check diff 'sed "3~1000s/1/one/" text > other; diff text other | sha1sum; cmp text other; diff -u text other | tail -n 12'
check gawk 'gawk "{ s += \$3; q += \$3 * \$3; c[\$4 \$5]++ } END { printf \"%.17g %.17g\\n\", s, q; n = asorti(c, d); print n, d[1], d[n], c[d[5]]; print exp(1), log(10), atan2(1, 2), 2 ^ 0.5, int(-3.7), substr(\"hello\", 2, 3), tolower(\"ABC\"), strftime(\"%F %T\", 1e9) }" text'
check mawk 'mawk "{ s += \$3; c[\$2 % 13]++ } END { printf \"%.15g %d %e %x\\n\", s, c[5], s / 7, 255 }" text; mawk "BEGIN { for (i = 0; i < 300000; i++) x = (x * 1103515245 + 12345) % 2147483648; print x }"'
check bc 'echo "scale=150; 4*a(1); e(1); s(1); l(2); sqrt(2); 2^200; 7^99 % 1000007" | bc -l'
check perl 'perl -e "use strict; my %h; my \$x = 42; for (1 .. 60000) { \$x = (\$x * 16807) % 2147483647; \$h{\$x % 1009} .= chr(97 + \$x % 26) } for (sort { length(\$h{\$b}) <=> length(\$h{\$a}) || \$a <=> \$b } keys %h) { print \"\$_ \$h{\$_}\n\" if /7\$/ } printf \"%.17g %e %s\n\", exp(1) ** 3.3, 1/3, join(\",\", map { sprintf \"%.3f\", sin \$_ } 1 .. 9); my \$t = \"the quick brown fox \" x 500; my \$n = () = \$t =~ /(\w)(\w+) (?=\w*o)/g; print \$n, \" \", ucfirst(reverse \$t) =~ tr/o//, \"\n\"; print pack(\"NnCw/a*d\", 1, 2, 3, \"abc\", 0.1) , unpack(\"%32C*\", \$t), \"\n\""'
check lua 'lua5.4 -e "local function q(n) local c, t, a, b = 0, {}, {}, {} local function p(r) if r > n then c = c + 1 return end for i = 1, n do if not t[i] and not a[r + i] and not b[r - i + n] then t[i], a[r + i], b[r - i + n] = true, true, true p(r + 1) t[i], a[r + i], b[r - i + n] = nil, nil, nil end end end p(1) return c end print(q(7)) local s = 0.0 for i = 1, 200000 do s = s + math.sin(i) / i end print(string.format(\"%.17g %a\", s, s)) print(1 << 62, 7 // -2, -7 % 3, 2 ^ 53, 10 // 0.3, math.maxinteger * 2, string.rep(\"ab\", 3, \"-\"), (\"hello world\"):gsub(\"o\", \"0\"), #table.concat({1, 2, 3}, \", \")) local t = {} for i = 1, 20000 do t[i] = (i * 7919) % 10007 end table.sort(t) print(t[1], t[777], t[20000])"'
check python 'python3 -c "
import re, sys, math, time
x = pow(3, 2000) * pow(7, 1500) + math.factorial(300); print(x % (10**9 + 7), len(str(x)), x.bit_length(), hex(x)[:40], divmod(x, 12345678901234567))
s = sum(math.sin(i) / (i + 1) for i in range(60000)); print(repr(s), s.hex(), math.gamma(5.5), math.lgamma(1e5), math.fsum([.1] * 10), 1e308 * 10, 0.1 + 0.2, round(2.675, 2), -7 // 2, complex(1, 2) ** 3)
t = open(\"text\").read(); print(len(re.findall(r\"(\d)\1\", t)), sorted(set(re.findall(r\"line \d+\", t)))[:5], hash(3.5), hash(10**30))
d = {str(i): [i, i / 7, {\"k\": chr(0x400 + i)}] for i in range(3000)}; u = repr(d); print(len(u), eval(u) == d, u[-60:])
p = [True] * 60000
for i in range(2, 250):
    if p[i]: p[i*i::i] = [False] * len(p[i*i::i])
print(sum(p), [\"%g\" % (10 ** (i / 3)) for i in range(-9, 9)], \"ß→\".encode(), f\"{1234567.891:,.2f} {255:#b}\", time.strftime(\"%c\", time.gmtime(1e9)))
class A:
    def __init__(s, v): s.v = v
    def __lt__(s, o): return s.v < o.v
print([a.v for a in sorted(A((i * 37) % 101) for i in range(100))][:10])
"'
check sqlite 'sqlite3 t.db "pragma journal_mode = wal; create table t(a integer primary key, b integer, c text, d real); with recursive n(i) as (values(1) union all select i + 1 from n where i < 12000) insert into t select i, (i * 7919) % 10007, printf(\"%08x-%s\", i * 2654435761 % 4294967296, char(65 + i % 26)), i / 7.0 from n; create index x on t(c, b); select count(*), sum(b), avg(d), total(d), max(c), min(c) from t; select c, b, d from t where c like \"%a-%\" order by b desc, d limit 5; select b % 10, count(*), round(sum(d), 6), group_concat(substr(c, 1, 2)) from t where a < 200 group by 1; delete from t where b % 3 = 0; update t set d = d * d, c = upper(c); vacuum; pragma integrity_check; select sum(d), length(group_concat(c)), hex(zeroblob(3)) from t; select json_extract(json_group_array(b), \"\$[5]\"), strftime(\"%F\", 1e9, \"unixepoch\"), round(pow(2, .5), 12), sqrt(2) from t"; sha1sum < t.db | cut -c 1-3 > /dev/null'
check dash 'dash -c "i=0; s=0; while [ \$i -lt 15000 ]; do s=\$(((s * 31 + i) % 65521)); i=\$((i + 1)); done; echo \$s; for f in /etc/p*; do echo \${f##*/}; done; echo hello | while read x; do echo \${x%l*} \$((0x7fffffff + 1)); done"'
check bash 'declare -A m; for ((i = 0; i < 12000; i++)); do m[$((i * 7919 % 1009))]+=$((i % 10)); done; echo "${#m[@]} ${m[5]} ${m[1008]}"; printf "%s\n" {a..e}{1..3} | rev | tr -d "\n"; x=abcabc; echo ${x//b/--} ${x^^} ${x:2:3} $((2**62)) $((-7 / 2)) $(echo a | cat); [[ foo123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[2]}; coproc cat; echo through >&${COPROC[1]}; read -r y <&${COPROC[0]}; echo $y; kill %1; wait 2> /dev/null'
check processes 'for i in $(seq 1 150); do (exit $((i % 7))); s=$((s + $?)); done; echo $s; for i in $(seq 1 60); do /bin/true; done; seq 1 20000 | cat | cat | cat | cat | tail -n 1; mkfifo f; (seq 1 5000 > f &); wc < f; trap "echo got" USR1; kill -USR1 $$; ulimit -S -v 65536; python3 -c "x = bytearray(1 << 30)" 2>&1 | tail -n 1'
check files 'mkdir -p a/b/c; for i in $(seq 1 300); do echo $i > a/b/f$i; done; ln -s b/f7 a/l; ln a/b/f7 a/h; cat a/l a/h; find a -type f | sort | sha1sum; stat -c "%h %s %F" a/h a/l a/b; chmod 4751 a/h; stat -c %a a/h; truncate -s 5M a/sparse; dd if=noise of=a/sparse bs=1000 seek=3000 count=9 conv=notrunc status=none; sha1sum a/sparse; touch -d @1234567890.123456789 a/h; stat -c %y a/h; rm -r a/b; ls -A a; cp -a a d && diff -r a d && echo same; tar --version | head -n 1; tar cf - --sort=name --mtime=@0 --owner=0 --group=0 -C a h l | sha1sum'
for method in ackermann bitops crc16 double euler explog fft fibonacci float gamma gray hamming hanoi hyperbolic idct int64 int32 jmp longdouble loop matrixprod omega parity phi pi prime psi queens rand sieve sqrt trig union zeta; do
    check "stress-$method" "stress-ng --quiet --oomable --cache-level 1 --cpu 1 --cpu-method $method --cpu-ops ${STRESS_OPS:-2} --verify --timeout 600 2>&1 | sed 's/\[[0-9]*\]//'; echo \${PIPESTATUS[0]}"
done
cd / && rm -rf "$work"
echo "CHECKS DONE"
