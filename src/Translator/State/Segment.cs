using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dbt.Translator.State;

/// <summary>Index of a segment register, in the order of the instruction encoding (SDM vol. 2, table 2-1).</summary>
public enum SegmentIndex
{
    /// <summary>Extra segment.</summary>
    Es,

    /// <summary>Code segment.</summary>
    Cs,

    /// <summary>Stack segment.</summary>
    Ss,

    /// <summary>Data segment.</summary>
    Ds,

    /// <summary>First additional data segment.</summary>
    Fs,

    /// <summary>Second additional data segment.</summary>
    Gs,
}

/// <summary>
/// The hidden part of a segment register, decoded so that a check is two comparisons:
/// offsets <see cref="Low"/> to <see cref="High"/> inclusive are inside (SDM vol. 3, 3.4.3 and 5.3).
/// An unusable segment (null selector) has Low 1 and High 0.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct Segment
{
    /// <summary>Linear address of offset 0.</summary>
    public uint Base;

    /// <summary>Lowest valid offset: 0, or limit + 1 for an expand-down segment.</summary>
    public uint Low;

    /// <summary>Highest valid offset: the limit in bytes, or 0xFFFF / 0xFFFFFFFF for an expand-down segment.</summary>
    public uint High;

    /// <summary>Descriptor bits 40..55 as the descriptor holds them: type, S, DPL, P, limit 19:16, AVL, L, D/B, G.</summary>
    public ushort Attributes;

    /// <summary>Visible selector.</summary>
    public ushort Selector;

    /// <summary>Type field: for code and data bit 3 code, bit 2 expand-down/conforming, bit 1 writable/readable, bit 0 accessed.</summary>
    public readonly int Type => Attributes & 0xF;

    /// <summary>Descriptor privilege level.</summary>
    public readonly int Dpl => (Attributes >> 5) & 3;

    /// <summary>Present bit; clear in an unusable segment.</summary>
    public readonly bool Present => (Attributes & 0x80) != 0;

    /// <summary>D/B bit: 32-bit code or stack.</summary>
    public readonly bool Is32Bit => (Attributes & 0x4000) != 0;

    /// <summary>True for a code segment.</summary>
    public readonly bool IsCode => (Attributes & 0x18) == 0x18;

    /// <summary>True where data writes are permitted.</summary>
    public readonly bool Writable => (Attributes & 0x1A) == 0x12;

    /// <summary>True where data reads are permitted: data segments, and readable code.</summary>
    public readonly bool Readable => (Attributes & 0x18) == 0x10 || (Attributes & 0x1A) == 0x1A;

    /// <summary>Base 0, all 4 GiB valid.</summary>
    public readonly bool IsFlat => Base == 0 && Low == 0 && High == uint.MaxValue;

    /// <summary>Fills the hidden part from a descriptor (SDM vol. 3, figure 3-8).</summary>
    public static Segment FromDescriptor(ushort selector, ulong descriptor)
    {
        uint low = (uint)descriptor, high = (uint)(descriptor >> 32);
        uint limit = (low & 0xFFFF) | (high & 0xF0000);
        if ((high & 0x800000) != 0)
        {
            limit = (limit << 12) | 0xFFF;
        }

        var segment = new Segment
        {
            Selector = selector,
            Attributes = (ushort)(high >> 8),
            Base = (low >> 16) | ((high & 0xFF) << 16) | (high & 0xFF000000),
            Low = 0,
            High = limit,
        };
        bool expandDown = (segment.Attributes & 0x1C) == 0x14;
        if (expandDown)
        {
            // limit == 0xFFFFFFFF wraps Low to 0; nothing is valid then, which Low > High expresses.
            uint top = segment.Is32Bit ? uint.MaxValue : 0xFFFFu;
            (segment.Low, segment.High) = limit == uint.MaxValue ? (1u, 0u) : (limit + 1, top);
        }

        return segment;
    }

    /// <summary>An unusable segment, as a null selector leaves it.</summary>
    public static Segment Null(ushort selector) => new() { Selector = selector, Low = 1, High = 0 };
}

/// <summary>The six segment registers.</summary>
[InlineArray(6)]
public struct SegmentFile
{
    private Segment _first;

    /// <summary>The register <paramref name="index"/>.</summary>
    [UnscopedRef]
    public ref Segment this[SegmentIndex index] => ref Unsafe.Add(ref _first, (int)index);
}
