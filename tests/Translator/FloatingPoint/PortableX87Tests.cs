using System.Text;
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

    private static bool IsTranscendental(Mnemonic mnemonic) => mnemonic is
        Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos;

    private static bool Wanted(Mnemonic mnemonic) => OnlyRows.Length == 0 || OnlyRows.Contains(mnemonic.ToString(), StringComparer.OrdinalIgnoreCase);

    private void Report(string text)
    {
        output.WriteLine(text);
        if (Environment.GetEnvironmentVariable("DBT_X87_REPORT") is { } file)
        {
            File.AppendAllText(file, text);
        }
    }
}
