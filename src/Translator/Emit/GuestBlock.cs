using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>A basic block of a <see cref="Region"/>: instructions that run one after another.</summary>
internal sealed class GuestBlock(uint start)
{
    /// <summary>EIP of the first instruction.</summary>
    public uint Start { get; } = start;

    /// <summary>The instructions; the last may be a branch.</summary>
    public List<Instruction> Instructions { get; } = [];

    /// <summary>Their bytes, as they were decoded.</summary>
    public byte[] Bytes { get; set; } = [];

    /// <summary>EIP after the last instruction.</summary>
    public uint End { get; set; }

    /// <summary>Blocks of the region that jump or fall into this one.</summary>
    public List<GuestBlock> Predecessors { get; } = [];

    /// <summary>Blocks of the region that this one jumps or falls into.</summary>
    public List<GuestBlock> Successors { get; } = [];

    /// <summary>The region may be entered here, with the status flags in the processor's state.</summary>
    public bool IsEntry { get; set; }

    /// <summary>An indirect branch of the region (return) may arrive here.</summary>
    public bool IsIndirectTarget { get; set; }

    /// <summary>Control may go from here to somewhere outside the region.</summary>
    public bool LeavesRegion { get; set; }

    /// <summary>Whether the flags that arrive may be read before they are all overwritten.</summary>
    public bool FlagsLiveIn { get; set; }

    /// <summary>Places of floating-point instructions whose results nothing reads.</summary>
    public HashSet<int> DeadVectors { get; } = [];

    /// <summary>What is certain of MMX mode where the block begins.</summary>
    public MmxState MmxOnEntry { get; set; }

    /// <summary>It has one way in, from a block emitted before it: the flags arrive as they were left there.</summary>
    public bool InheritsFlags { get; set; }

    /// <summary>How many instructions before it have been carried out and not counted where it begins (<see cref="InstructionEmitter.Retired"/>); null while nothing leads there.</summary>
    public int? Uncounted { get; set; }

    /// <summary>Its place in the emitted code.</summary>
    public System.Reflection.Emit.Label Label { get; set; }

    /// <summary>How the flags arrive where <see cref="InheritsFlags"/>; null means in the processor's state.</summary>
    public FlagValue? EntryFlags { get; set; }
}
