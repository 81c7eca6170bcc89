using Dbt.Translator.Emit;
using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using unsafe ThreadedRoutine = delegate*<
    Dbt.Translator.Interpretation.Interpreter,
    Dbt.Translator.State.CpuState*,
    Dbt.Translator.Interpretation.Threaded.Op*,
    int>;

namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>One semantic, broken on purpose: a row of the instruction table with another routine, or surroundings that do not do their part.</summary>
internal sealed unsafe class Mutation
{
    /// <summary>What the test calls it.</summary>
    public required string Name { get; init; }

    /// <summary>What is wrong with it.</summary>
    public required string Breaks { get; init; }

    /// <summary>The row that is replaced, and that vectors are drawn from.</summary>
    public required Mnemonic Mnemonic { get; init; }

    /// <summary>Which of the rows of that mnemonic.</summary>
    public InstructionForm Form { get; init; }

    /// <summary>The interpreter's broken routine; null keeps the right one.</summary>
    public delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> Execute { get; init; }

    /// <summary>Picks the interpreter's broken routine for a form of operands; null: the general routine runs for all.</summary>
    public delegate*<in DecodedInstruction, ThreadedRoutine> Threaded { get; init; }

    /// <summary>The translator's broken routine; null keeps the right one.</summary>
    public EmitRoutine? Emit { get; init; }

    /// <summary>Broken surroundings.</summary>
    public Func<OraclePlatform>? Platform { get; init; }

    /// <summary>Which kind of vectors shows it.</summary>
    public string Scenario { get; init; } = "single instructions";

    /// <summary>Whether vectors are drawn from all rows, not only this one.</summary>
    public bool AllRows { get; init; }

    /// <summary>The engine that has the broken part.</summary>
    public string Engine => Emit is not null || Platform is not null ? "quick" : "interpreter";

    /// <inheritdoc/>
    public override string ToString() => Name;
}
