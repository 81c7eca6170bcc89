using Dbt.Tests.Translator.Oracle;
using Dbt.Translator.Instructions;
using Dbt.Translator.Simd;
using Iced.Intel;
using Xunit.Abstractions;

namespace Dbt.Tests.Translator.Simd;

/// <summary>
/// MMX and SSE in C# against the host's own instructions, in this process. DBT_SIMD_VECTORS sets the number of states,
/// DBT_SIMD_SEED the seed.
/// </summary>
public sealed class PortableSimdTests(ITestOutputHelper output)
{
    // What processors compute each by a table of their own: 1.5 * 2^-12 of the exact value is promised (SDM vol. 2, RCPPS),
    // so two of them may be twice that apart.
    private const double TwiceThePromise = 2 * 1.5 / 4096;

    private static readonly HashSet<Mnemonic> Approximate = [Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Rsqrtps, Mnemonic.Rsqrtss];

    private static int Seed => int.TryParse(Environment.GetEnvironmentVariable("DBT_SIMD_SEED"), out int seed) ? seed : 1;

    private static int Vectors => int.TryParse(Environment.GetEnvironmentVariable("DBT_SIMD_VECTORS"), out int vectors) ? vectors : 100_000;

    [Fact]
    public void EveryRowHasARoutine()
    {
        var missing = InstructionTable.Rows
            .Where(row => row.TestClass == TestClass.Simd && (row.Traits & RowTraits.NativeThunk) != 0 && SimdTable.Find(row.Mnemonic) is null)
            .Select(row => row.Mnemonic);
        Assert.Empty(missing);
    }

    [X64Fact]
    public void EveryRow_AgreesWithTheHost()
    {
        var random = new Random(Seed);
        var generator = new InstructionGenerator(random);
        Candidate[][] rows = Candidate.All(row => SimdTable.Find(row.Mnemonic) is not null && (row.Traits & RowTraits.NativeThunk) != 0);
        using var pair = new ThunkPair();
        var failures = new List<string>();
        long compared = 0;
        int untested = 0;
        foreach (Candidate[] row in rows)
        {
            // Few encodings and many states: each encoding takes memory for its host code.
            List<Instruction> drawn = [];
            for (int i = 0; i < 400 && drawn.Count < 100; i++)
            {
                if (ThunkPair.Draw(generator, row[i % row.Length].Code) is { } instruction)
                {
                    drawn.Add(instruction);
                }
            }

            untested += drawn.Count == 0 ? 1 : 0;
            double tolerance = Approximate.Contains(row[0].Row.Mnemonic) ? TwiceThePromise : 0;
            int wrong = 0;
            string? example = null;
            for (int i = 0; i < Vectors / rows.Length && drawn.Count != 0; i++, compared++)
            {
                string? difference = pair.Run(random, drawn[i % drawn.Count], tolerance);
                wrong += difference is null ? 0 : 1;
                example ??= difference;
            }

            // Which of several NaNs is the result of DPPS is the processor's choice.
            if (example is not null && (ProcessorsChoice.HostIsAmd || row[0].Row.Mnemonic is not (Mnemonic.Dpps or Mnemonic.Dppd)))
            {
                failures.Add($"{row[0].Row.Mnemonic}: {wrong} differ\n{example}");
            }
        }

        output.WriteLine($"{compared} states over {rows.Length} rows, {untested} of which this host does not execute");
        Assert.True(failures.Count == 0, $"{failures.Count} rows differ\n{string.Join('\n', failures)}");
        Assert.True(compared > Vectors / 2);
    }
}
