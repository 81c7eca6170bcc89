using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>One kind of vectors.</summary>
internal sealed class OracleScenario
{
    private OracleScenario(string name, Func<InstructionRow, bool> rows, Func<VectorGenerator, Random, TestVector> make)
    {
        Name = name;
        Make = make;
        Rows = Candidate.All(rows);
    }

    /// <summary>What reports call it.</summary>
    public string Name { get; }

    /// <summary>The encodings that are drawn from, row by row.</summary>
    public Candidate[][] Rows { get; }

    /// <summary>Draws the code, and a first state.</summary>
    public Func<VectorGenerator, Random, TestVector> Make { get; }

    /// <summary>States that each code is run with; each is one vector.</summary>
    public int States { get; init; } = 64;

    /// <summary>Whether x87, MMX and SSE state counts.</summary>
    public bool Fx { get; private init; }

    /// <summary>In what segments the vectors run.</summary>
    public SegmentChoice Segments { get; private init; }

    /// <summary>Whether sequences are to hold few instructions that translated code leaves to the interpreter.</summary>
    public bool MostlyTranslated { get; private init; }

    /// <summary>Its share of a run, in thousandths or so.</summary>
    public int Share { get; private init; }

    /// <summary>All kinds, for the rows that a filter lets through; those without any row are left out.</summary>
    public static OracleScenario[] All(Func<InstructionRow, bool> wanted, int states)
    {
        bool Integer(InstructionRow row) => row.TestClass is not (TestClass.Fpu or TestClass.Simd) && wanted(row);
        OracleScenario[] all =
        [
            new("single instructions", Integer, (generator, _) => generator.Make(1)) { Share = 270, States = states },
            new("single instructions, segments of all kinds", Integer, (generator, _) => generator.Make(1))
            {
                Share = 70, States = states, Segments = SegmentChoice.Any,
            },
            new("single instructions, 16-bit code", Integer, (generator, _) => generator.Make(1)) { Share = 80, States = states, Segments = SegmentChoice.Sixteen },
            new("sequences", Integer, Sequence) { Share = 120, States = states, MostlyTranslated = true },
            new("sequences of everything", Integer, Sequence) { Share = 30, States = states },
            new("sequences, segments of all kinds", Integer, Sequence) { Share = 20, States = states, Segments = SegmentChoice.Any },
            new("sequences, 16-bit code", Integer, Sequence) { Share = 20, States = states, Segments = SegmentChoice.Sixteen },
            new("loops", Integer, (generator, random) => generator.MakeLoop(random.Next(1, 10))) { Share = 20, States = states, MostlyTranslated = true },
            new("code that modifies itself", Integer, (generator, random) => generator.MakeSelfModifying(random.Next(2, 12), random.Next(2) == 0))
            {
                Share = 1, States = Math.Min(states, 8), MostlyTranslated = true,
            },
            new("x87", row => row.TestClass == TestClass.Fpu && wanted(row), (generator, _) => generator.Make(1)) { Share = 140, States = states, Fx = true },
            new("MMX and SSE", row => row.TestClass == TestClass.Simd && wanted(row), (generator, _) => generator.Make(1))
            {
                Share = 140, States = states, Fx = true,
            },
            new(
                "sequences with floating point",
                row => row.TestClass is TestClass.Simd or TestClass.Fpu or TestClass.Alu or TestClass.Move && !SavesPointers(row) && wanted(row), Sequence)
            {
                Share = 60, States = states, Fx = true, MostlyTranslated = true,
            },
            new(
                "loops with floating point",
                row => row.TestClass is TestClass.Simd or TestClass.Fpu or TestClass.Alu or TestClass.Move && !SavesPointers(row) && wanted(row),
                (generator, random) => generator.MakeLoop(random.Next(1, 12)))
            {
                Share = 20, States = states, Fx = true, MostlyTranslated = true,
            },
        ];
        return [.. all.Where(scenario => scenario.Rows.Length > 0)];
    }

    private static TestVector Sequence(VectorGenerator generator, Random random) => generator.Make(random.Next(2, 31));

    // Processors differ in what they save of the last instruction's address and opcode.
    private static bool SavesPointers(InstructionRow row) => row.Mnemonic is Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Fxsave;
}
