using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Why translated code leaves for one interpreted instruction.</summary>
internal enum SideExitKind
{
    /// <summary>A memory access that the software TLB does not allow as it is: see <see cref="MemorySite"/>.</summary>
    Memory,

    /// <summary>Accesses that are checked together (<see cref="Spans.Span"/>) lie on two pages. The code from there on is to run with each checked by itself.</summary>
    Span,

    /// <summary>The instruction, or this form of it, is not translated.</summary>
    Untranslated,

    /// <summary>Division by zero or with a quotient that does not fit.</summary>
    Divide,

    /// <summary>A locked access that is not aligned.</summary>
    Unaligned,

    /// <summary>Any other rare case of an instruction.</summary>
    Rare,

    /// <summary>A memory access whose page isn't in the address window, or not with the right that it needs: see <see cref="MemorySite"/>.</summary>
    Window,
}

/// <summary>A memory access, for telling apart why it left.</summary>
/// <param name="Base">Base register number, or -1.</param>
/// <param name="Index">Index register number, or -1.</param>
/// <param name="Shift">Left shift of the index.</param>
/// <param name="Displacement">Displacement.</param>
/// <param name="Segment">Segment register whose base is added, or null in flat segments.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Write">Whether it writes.</param>
internal readonly unsafe record struct MemorySite(sbyte Base, sbyte Index, byte Shift, uint Displacement, SegmentIndex? Segment, byte Size, bool Write)
{
    /// <summary>The size of an access that is not where the operand says, but at a distance from there which a register holds (bit strings).</summary>
    public const byte Elsewhere = 0;

    /// <summary>The linear address, by the registers as they are.</summary>
    public uint Linear(CpuState* cpu) => Displacement
        + (Base >= 0 ? cpu->Gpr[Base] : 0)
        + (Index >= 0 ? cpu->Gpr[Index] << Shift : 0)
        + (Segment is { } segment ? cpu->Segments[segment].Base : 0);

    /// <summary>Whether it lies on two pages.</summary>
    public bool Crosses(uint linear) => (linear & 0xFFF) > 4096 - (uint)Size;
}

/// <summary>One place where translated code leaves.</summary>
/// <param name="Kind">Why.</param>
/// <param name="Eip">The instruction that the interpreter executes instead.</param>
/// <param name="Retired">Instructions that were carried out before it and are not counted yet.</param>
/// <param name="Optimized">Which tier retired them.</param>
/// <param name="Mnemonic">The instruction.</param>
/// <param name="Memory">The access, for <see cref="SideExitKind.Memory"/>.</param>
internal readonly record struct ExitSite(SideExitKind Kind, uint Eip, int Retired, bool Optimized, Mnemonic Mnemonic, MemorySite Memory);

/// <summary>
/// What a block function returns, and its exits. One that leaves through a site returns <see cref="FirstSite"/> plus its number, with its
/// instance in ExitInfo.
/// </summary>
internal sealed class ExitTable
{
    /// <summary>EIP is stored; look it up, after Attention.</summary>
    public const int Continue = 0;

    /// <summary>EIP is stored, ExitInfo is the address of an empty <see cref="Cache.LinkCell"/>.</summary>
    public const int Unlinked = 1;

    /// <summary>The block's counter has run down; EIP is stored.</summary>
    public const int Hot = 2;

    /// <summary>The pages that a translation lies on are not mapped as they were; nothing has been executed. EIP is stored, ExitInfo is its instance.</summary>
    public const int Remapped = 3;

    /// <summary>A region needs a unit live that cannot be, because the guest wants exceptions; nothing has been executed, EIP is stored.</summary>
    public const int NeedsUnits = 4;

    /// <summary>Codes from here on are sites; EIP is in the site. Nothing else in compiled code is likely to be such a number (<see cref="Cache.WindowAccesses"/> looks for it).</summary>
    public const int FirstSite = 0x5E00_0000;

    /// <summary>The sites of a translation by number.</summary>
    public List<ExitSite> Sites { get; } = [];

    /// <summary>Takes a code for a site.</summary>
    public int Add(in ExitSite site)
    {
        Sites.Add(site);
        return Sites.Count - 1 + FirstSite;
    }
}
