using System.Text;
using Dbt.Tests.Translator.Oracle;
using Iced.Intel;
using Xunit.Abstractions;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>
/// The x87 in managed code does what the host's does. DBT_X87_VECTORS makes a long run of that many vectors (DBT_X87_SEED, and
/// DBT_X87_REPORT for a file with the vectors of each mnemonic); DBT_X87_ROWS narrows it to some mnemonics.
/// </summary>
public sealed class PortableX87Tests(ITestOutputHelper output)
{
    private static readonly string[] OnlyRows =
        Environment.GetEnvironmentVariable("DBT_X87_ROWS")?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static int Seed => int.TryParse(Environment.GetEnvironmentVariable("DBT_X87_SEED"), out int seed) ? seed : 1;

    private static int? Vectors => int.TryParse(Environment.GetEnvironmentVariable("DBT_X87_VECTORS"), out int vectors) ? vectors : null;

    [X64Fact]
    public void ArithmeticIsBitExact()
    {
        using var comparison = new X87Comparison();
        Instruction[] encodings = X87Comparison.Encodings(m => !IsTranscendental(m) && Wanted(m));
        var perRow = new SortedDictionary<string, int>();
        var failures = new SortedDictionary<string, (int Count, string Example)>();
        var random = new Random(Seed);
        for (int i = Vectors ?? 100_000; i > 0; i--)
        {
            Instruction instruction = encodings[random.Next(encodings.Length)];
            string row = instruction.Mnemonic.ToString();
            perRow[row] = perRow.GetValueOrDefault(row) + 1;
            if (comparison.Run(instruction, X87Vectors.Area(random), X87Vectors.Memory(random), (uint)random.Next(0x1000) & 0x8D5) is { } difference)
            {
                failures[row] = failures.TryGetValue(row, out (int Count, string Example) known) ? (known.Count + 1, known.Example) : (1, difference);
            }
        }

        var report = new StringBuilder($"{encodings.Length} encodings, {perRow.Values.Sum()} vectors\n");
        foreach ((string row, int count) in perRow)
        {
            report.Append($"{row,-10} {count,9}{(failures.TryGetValue(row, out (int Count, string Example) f) ? $"  {f.Count} differ, such as\n{f.Example}" : "")}\n");
        }

        Report(report.ToString());
        Assert.True(failures.Count == 0, report.ToString());
    }

    [X64Fact]
    public void FastFormsAreBitExact()
    {
        using var comparison = new X87Comparison();
        Instruction[] encodings = [.. X87Comparison.Encodings(Wanted).Where(X87Comparison.HasFastForm)];
        var random = new Random(Seed + 2);
        int count = encodings.Length == 0 ? 0 : Vectors ?? 50_000, taken = 0;
        for (int i = 0; i < count; i++)
        {
            Instruction instruction = encodings[random.Next(encodings.Length)];
            byte[] area = X87Vectors.Area(random);
            area[0] |= 0x3F;
            string? difference = comparison.RunFast(instruction, area, X87Vectors.Memory(random), (uint)random.Next(0x1000) & 0x8D5, out bool fast);
            Assert.True(difference is null, difference);
            taken += fast ? 1 : 0;
        }

        Report($"{encodings.Length} encodings with a fast form, {taken} of {count} vectors took it\n");
        Assert.True(taken * 4 >= count, $"Only {taken} of {count} vectors took the fast form.");
    }

    [X64Fact]
    public void TranscendentalsAreWithinOneUnitInTheLastPlace()
    {
        using var comparison = new X87Comparison();
        var perRow = new SortedDictionary<string, Tally>();
        var random = new Random(Seed + 1);
        Instruction[] encodings = X87Comparison.Encodings(m => IsTranscendental(m) && Wanted(m));
        for (int i = encodings.Length == 0 ? 0 : (Vectors / 5) ?? 20_000; i > 0; i--)
        {
            Instruction instruction = encodings[random.Next(encodings.Length)];
            if (!perRow.TryGetValue(instruction.Mnemonic.ToString(), out Tally? tally))
            {
                perRow[instruction.Mnemonic.ToString()] = tally = new Tally();
            }

            byte[] area = X87Vectors.Area(random);
            X87Vectors.DrawArgument(random, instruction.Mnemonic, area);
            string? difference = comparison.Run(instruction, area, X87Vectors.Memory(random), 2);
            tally.Add(difference, difference is null ? 0 : comparison.Distance());
        }

        var report = new StringBuilder();
        foreach ((string row, Tally tally) in perRow)
        {
            report.Append($"{row,-10} {tally}\n");
        }

        Report(report.ToString());

        // Which of two neighbours it is differs from maker to maker more often than from the exact result.
        int most = ProcessorsChoice.HostIsAmd ? 95 : 70;
        Assert.True(perRow.Values.All(t => t.Wrong == 0 && t.Equal * 100 >= t.Count * most), report.ToString());
    }

    internal static bool IsTranscendental(Mnemonic mnemonic) => mnemonic is
        Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos;

    private static bool Wanted(Mnemonic mnemonic) => OnlyRows.Length == 0 || OnlyRows.Contains(mnemonic.ToString(), StringComparer.OrdinalIgnoreCase);

    private sealed class Tally
    {
        private string? _example, _near;

        public int Count { get; private set; }

        public int Equal { get; private set; }

        public int Near { get; private set; }

        public int Wrong => Count - Equal - Near;

        public void Add(string? difference, ulong distance)
        {
            Count++;
            if (difference is null)
            {
                Equal++;
            }
            else if (distance <= 1)
            {
                Near++;
                _near ??= difference;
            }
            else
            {
                _example ??= difference;
            }
        }

        public override string ToString() =>
            $"{Count,9}, all equal {Equal,9}, one unit off {Near}, wrong {Wrong}{(_near is null ? "" : $"\n off: {_near}")}{(_example is null ? "" : $"\n wrong: {_example}")}";
    }

    private void Report(string text)
    {
        output.WriteLine(text);
        if (Environment.GetEnvironmentVariable("DBT_X87_REPORT") is { } file)
        {
            File.AppendAllText(file, text);
        }
    }
}
