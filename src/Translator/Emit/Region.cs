using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// What is translated together: basic blocks decoded from guest memory, and where they were found.
/// A single block is a region too.
/// </summary>
internal sealed class Region(uint entry, CpuMode mode, bool nativeFloatingPoint)
{
    /// <summary>Whether floating-point and SIMD instructions are translated to the host's own.</summary>
    public bool NativeFloatingPoint { get; } = nativeFloatingPoint;

    /// <summary>EIP of the main entry.</summary>
    public uint Entry { get; } = entry;

    /// <summary>The mode it is translated for.</summary>
    public CpuMode Mode { get; } = mode;

    /// <summary>Each access is checked by itself: what spans check together lies across pages here, see <see cref="SideExitKind.Span"/>.</summary>
    public bool IsApart { get; init; }

    /// <summary>Memory is reached by the address window where that is possible.</summary>
    public bool IsWindowed => (Mode & CpuMode.Window) != 0;

    /// <summary>The mode in its entry's key.</summary>
    public CpuMode KeyMode => IsApart ? Mode | CpuMode.Apart : Mode;

    /// <summary>The blocks in emission order; the first is the entry.</summary>
    public List<GuestBlock> Blocks { get; } = [];

    /// <summary>The blocks by EIP.</summary>
    public Dictionary<uint, GuestBlock> ByStart { get; } = [];

    /// <summary>EIPs of instructions whose routine refused their form.</summary>
    public HashSet<uint> Untranslatable { get; } = [];

    /// <summary>EIPs of instructions whose accesses are checked though the others go by the address window.</summary>
    public HashSet<uint> Checked { get; } = [];

    /// <summary>Blocks behind calls whose target is in the region too: where its returns are likely to go.</summary>
    public List<GuestBlock> ReturnSites { get; } = [];

    /// <summary>Computed jumps by EIP, and the blocks of the region that they went to, the most frequent first.</summary>
    public Dictionary<uint, List<GuestBlock>> JumpTargets { get; } = [];

    /// <summary>Code pages read: linear page number, and what the software TLB's execute entry held.</summary>
    public Dictionary<uint, long> Pages { get; } = [];

    /// <summary>Opcodes of x87 instructions, by EIP, as the unit keeps that of the last one (SDM vol. 1, 8.1.8).</summary>
    public Dictionary<uint, ushort> X87Opcodes { get; } = [];

    /// <summary>Whether both x87 and MMX instructions are translated, so that the registers they share change hands inside.</summary>
    public bool MixesX87AndMmx { get; set; }

    /// <summary>Guest instructions held.</summary>
    public int InstructionCount { get; set; }

    /// <summary>Notes the opcode of an instruction that was decoded, where it is the x87 unit's.</summary>
    public void NoteX87(in Instruction instruction, ReadOnlySpan<byte> bytes)
    {
        if (InstructionTable.Lookup(instruction) is { TestClass: TestClass.Fpu })
        {
            X87Opcodes[instruction.IP32] = (ushort)Interpreter.CoprocessorOpcode(bytes);
        }
    }
}
