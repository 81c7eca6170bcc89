using Dbt.Cli.Config;

namespace Dbt.Cli.Bench;

/// <summary>The benchmark's programs: a row each, unmodified from Debian.</summary>
internal static class Workloads
{
    private const string Key = "-K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 000102030405060708090a0b0c0d0e0f";

    // So much of the text that there are several turns: their number is what --scale changes.
    private const string Part = "head -c 8192K $IN/text > text";

    /// <summary>All of them, in the order in which they run.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("sha256sum", WorkloadKind.Compute, "coreutils", 48, "sha256sum $(yes $IN/noise | head -n $N)"),
        new("openssl-aes", WorkloadKind.Compute, "openssl", 8, $"for i in $(seq $N); do openssl enc -aes-256-cbc -bufsize 65536 {Key} -in large -out z; done; tail -c 4096 z")
        {
            Preparation = "for i in 1 2 3 4 5 6 7 8; do cat $IN/noise; done > large",
        },
        new("openssl-rsa", WorkloadKind.Compute, "openssl", 20, "for i in $(seq $N); do echo $i | openssl dgst -sha256 -sign $IN/key.pem; done"),
        new("gzip", WorkloadKind.Compute, "gzip", 19456, "head -c ${N}K $IN/text | gzip -9n"),
        new("bzip2", WorkloadKind.Compute, "bzip2", 16384, "head -c ${N}K $IN/text | bzip2 -9"),
        new("xz", WorkloadKind.Compute, "xz-utils", 2816, "head -c ${N}K $IN/text | xz -6 -T1"),
        new("zstd", WorkloadKind.Compute, "zstd", 5120, "head -c ${N}K $IN/text | zstd -12 --single-thread -q"),
        new("lua", WorkloadKind.Compute, "lua5.4", 24, """
            exec lua5.4 - $N <<'END'
            local function queens(n)
              local count, columns, up, down = 0, {}, {}, {}
              local function place(row)
                if row > n then count = count + 1 return end
                for i = 1, n do
                  if not columns[i] and not up[row + i] and not down[row - i + n] then
                    columns[i], up[row + i], down[row - i + n] = true, true, true
                    place(row + 1)
                    columns[i], up[row + i], down[row - i + n] = nil, nil, nil
                  end
                end
              end
              place(1)
              return count
            end
            for turn = 1, tonumber(arg[1]) do
              print(queens(8))
              local sum, words = 0.0, {}
              for i = 1, 150000 do sum = sum + (i % 7) / i; words[i % 1000 + 1] = "w" .. i end
              table.sort(words)
              print(string.format("%a", sum), words[1], words[#words], #table.concat(words))
            end
            END
            """),
        new("python", WorkloadKind.Compute, "python3-minimal", 48, """
            exec python3 - $N <<'END'
            import sys
            class Body:
                def __init__(self, i): self.p, self.v, self.m = [i * .7, i * i * .3, 1 - i * .2], [0., .1 * i, 0.], 1 + i
            def step(bodies, dt):
                for a in bodies:
                    for b in bodies:
                        if a is b: continue
                        d = [y - x for x, y in zip(a.p, b.p)]
                        r = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + .01
                        f = b.m * dt / (r * r ** .5)
                        for k in range(3): a.v[k] += d[k] * f
                for a in bodies:
                    for k in range(3): a.p[k] += a.v[k] * dt
            for turn in range(int(sys.argv[1])):
                bodies = [Body(i) for i in range(5)]
                for i in range(400): step(bodies, .001)
                print([x.hex() for x in bodies[4].p])
                words = {}
                for i in range(40000): words.setdefault(str(i * i % 1009), []).append(i)
                print(sorted((len(v), k) for k, v in words.items())[-3:], len(repr(words)))
                print(pow(3, 3 ** 9 * 7) % (10 ** 9 + 7), len(str(7 ** 3000)))
            END
            """),
        new("perl", WorkloadKind.Compute, "perl-base", 10, """
            exec perl - $N $IN/text <<'END'
            use strict;
            my ($turns, $file) = @ARGV;
            open(my $in, "<", $file) or die;
            my @lines;
            while (<$in>) { push @lines, $_; last if @lines == 10000 }
            for my $turn (1 .. $turns) {
                my (%count, $swapped, $sum);
                for (@lines) {
                    my @words = split / /;
                    $count{$_}++ for @words[1 .. $#words - 1];
                    $swapped++ if /([a-z]+)e([a-z]+) .*\1/;
                    (my $line = $_) =~ s/(\w)(\w+)/$2$1/g;
                    $sum = ($sum * 31 + unpack("%32C*", $line)) % 1000003;
                }
                my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
                print "$turn $swapped $sum @top[0 .. 9]\n";
            }
            END
            """),
        new("sort", WorkloadKind.Compute, "coreutils", 10, "for i in $(seq $N); do sort --parallel=1 -S 64M -k$((i % 3 + 2)) text | tail -n 20000; done") { Preparation = Part },
        new("awk", WorkloadKind.Compute, "mawk", 5, """
            for i in $(seq $N); do cat text; done | mawk '
                { for (i = 2; i < NF; i++) count[$i]++; sum += $NF; if ($3 ~ /^[aeiou].*t/) vowel++; long = long < length($0) ? length($0) : long }
                END { for (word in count) if (count[word] > 99) print word, count[word], substr(toupper(word), 2); print "~", sum, vowel, long }' | LC_ALL=C sort
            """) { Preparation = Part },
        new("grep", WorkloadKind.Compute, "grep", 2, "for i in $(seq $N); do grep -cE '(ab|cd|e[a-m])+t[^aeiou]* [0-9]+$' text; grep -c '\\([a-z]\\)\\1\\([a-z]\\)\\2' text; grep -oiE '[xyz][a-z]{6,}' text | tail -n 5; done") { Preparation = Part },
        new("lame", WorkloadKind.Compute, "lame", 28, "head -c $((44 + N * 176400)) $IN/sound.wav | lame --quiet -q 2 -b 128 - -") { HasOwnDigits = true },
        new("cjpeg", WorkloadKind.Compute, "libjpeg-turbo-progs", 48, "for i in $(seq $N); do cjpeg -quality $((80 + i % 16)) -optimize -progressive $IN/picture.ppm | tail -c 20000; done"),
        new("fork-exec", WorkloadKind.System, "dash coreutils", 1200, "i=0; while [ $i -lt $N ]; do /bin/true && i=$((i + 1)); done; echo $i"),
        new("pipe", WorkloadKind.System, "perl-base", 90000, """
            exec perl - $N <<'END'
            use strict;
            pipe(my $in, my $to) && pipe(my $from, my $out) or die;
            my ($turns, $byte, $sum) = (shift, "", 0);
            if (!fork) {
                close $to;
                syswrite $out, chr(255 - ord $byte) while sysread $in, $byte, 1;
                exit;
            }
            for (1 .. $turns) { syswrite $to, chr($_ & 255); sysread $from, $byte, 1; $sum += ord $byte }
            print "$sum\n";
            END
            """),
        new("page-fault", WorkloadKind.System, "perl-base", 2200, """
            # Blocks that are mapped, touched and unmapped, each too small for a huge page.
            export GLIBC_TUNABLES=$GLIBC_TUNABLES:glibc.malloc.mmap_threshold=65536
            exec perl -e 'for (1 .. shift) { my $block = "x" x 1000000; $sum += length $block; undef $block } print "$sum\n"' $N
            """),
        new("dd", WorkloadKind.System, "coreutils", 48, "for i in $(seq $N); do dd if=$IN/noise of=copy bs=512 conv=notrunc status=none; done; cat copy"),
    ];

    /// <summary>All packages that they need.</summary>
    public static IReadOnlyList<string> Packages { get; } = [.. All.SelectMany(workload => workload.Packages.Split(' ')).Concat(["bash", "dash"]).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Those that are named, in the table's order; all where none is.</summary>
    /// <exception cref="ConfigException">There is none of that name.</exception>
    public static IReadOnlyList<Workload> Find(IReadOnlyCollection<string> names) =>
        names.FirstOrDefault(name => All.All(workload => workload.Name != name)) is string unknown
            ? throw new ConfigException($"there is no workload '{unknown}'; known are: {string.Join(", ", All.Select(workload => workload.Name))}")
            : names.Count == 0 ? All : [.. All.Where(workload => names.Contains(workload.Name))];
}
