using Dbt.Translator.State;

namespace Dbt.Translator.Emit.Spans;

/// <summary>What addresses have in common that differ by a known number of bytes.</summary>
/// <param name="Base">Root of the base register, or of the page of a known address; 0 for none.</param>
/// <param name="Index">Root of the index register, 0 for none.</param>
/// <param name="Shift">Left shift of the index.</param>
/// <param name="Segment">Segment register whose base is added.</param>
internal readonly record struct SpanKey(long Base, long Index, byte Shift, SegmentIndex? Segment);

/// <summary>A linear address as a distance from one that has a name.</summary>
/// <param name="Key">The name.</param>
/// <param name="Offset">Distance in bytes, modulo 2^32.</param>
/// <param name="OnStack">Whether ESP or EBP is its base: a place in the function's frame, which is written sooner or later.</param>
internal readonly record struct SymbolicAddress(SpanKey Key, int Offset, bool OnStack)
{
    private const int Esp = 4, Ebp = 5;

    /// <summary>Whether it is an address known while translating: within one page then.</summary>
    public bool IsKnown => Key is { Index: 0, Segment: null } && OnPage;

    private bool OnPage { get; init; }

    /// <summary>The address of a memory operand, given by what an exit site tells of it.</summary>
    public static SymbolicAddress Of(SymbolicRegisters registers, in MemorySite site)
    {
        if (site is { Base: < 0, Index: < 0, Segment: null })
        {
            SymbolicValue page = SymbolicValue.Page(site.Displacement >> 12);
            return new SymbolicAddress(new SpanKey(page.Root, 0, 0, null), (int)(site.Displacement & 0xFFF), false) { OnPage = true };
        }

        SymbolicValue based = site.Base < 0 ? default : registers[site.Base];
        SymbolicValue index = site.Index < 0 ? default : registers[site.Index];
        int offset = based.Offset + (index.Offset << site.Shift) + (int)site.Displacement;
        bool stack = site.Index < 0 && site.Segment is null && site.Base is Esp or Ebp;
        return new SymbolicAddress(new SpanKey(based.Root, index.Root, index.Root == 0 ? (byte)0 : site.Shift, site.Segment), offset, stack);
    }
}
