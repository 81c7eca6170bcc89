using Iced.Intel;

namespace Dbt.Tests.Translator.Emission;

/// <summary>A few guest instructions that stand for many like them.</summary>
/// <param name="Name">What is special about them, in Intel's notation: a row's name in the golden text.</param>
/// <param name="Code">The instructions.</param>
internal sealed record Snippet(string Name, Action<Assembler> Code)
{
    /// <summary>Places among the instructions, from 0, at which a computed jump among them arrived when the interpreter ran it.</summary>
    public int[] JumpTargets { get; init; } = [];

    /// <summary>Where the code lies.</summary>
    public uint Address { get; init; } = 0x10000;
}
