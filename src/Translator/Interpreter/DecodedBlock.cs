using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation;

/// <summary>Decoded instructions that follow each other within one page, up to one that changes the flow or the mode.</summary>
internal sealed unsafe class DecodedBlock
{
    /// <summary>EIP of the first instruction.</summary>
    public required uint Eip { get; init; }

    /// <summary>The mode it was decoded for.</summary>
    public required CpuMode Mode { get; init; }

    /// <summary>Host address of the first byte; with EIP and mode the block's key.</summary>
    public required byte* Host { get; init; }

    /// <summary>Bytes of code.</summary>
    public required int Length { get; init; }

    /// <summary>At least one instruction.</summary>
    public required DecodedInstruction[] Instructions { get; init; }

    /// <summary>Iced's form of the instructions that need it.</summary>
    public required Instruction[] Kept { get; init; }

    /// <summary>Its one instruction lies in two pages: not to be cached.</summary>
    public required bool CrossesPage { get; init; }

    /// <summary>Cleared when its code was written.</summary>
    public bool Valid { get; set; } = true;

    /// <summary>Executions so far, for tiering.</summary>
    public int Executions { get; set; }

    /// <summary>The next block in the cache's bucket.</summary>
    public DecodedBlock? Chain { get; set; }

    /// <summary>The blocks that followed it last and before that.</summary>
    public DecodedBlock? Successor { get; set; }

    /// <inheritdoc cref="Successor"/>
    public DecodedBlock? OtherSuccessor { get; set; }
}
