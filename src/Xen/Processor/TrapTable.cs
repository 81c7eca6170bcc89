namespace Dbt.Xen.Processor;

/// <summary>One entry of the virtual IDT (public/arch-x86/xen.h, trap_info).</summary>
/// <param name="Flags">Bits 0..1: most privileged-to-least level that may enter by a software interrupt; bit 2: mask events on entry.</param>
/// <param name="Selector">Code selector, its RPL at least 1.</param>
/// <param name="Address">Offset in it.</param>
internal readonly record struct TrapEntry(byte Flags, ushort Selector, uint Address)
{
    /// <summary>TI_GET_DPL.</summary>
    public int Dpl => Flags & 3;

    /// <summary>TI_GET_IF.</summary>
    public bool MasksEvents => (Flags & 4) != 0;

    /// <summary>Whether there is a handler to enter: null selectors are none.</summary>
    public bool IsSet => (Selector & ~3) != 0;
}

/// <summary>A processor's virtual IDT.</summary>
internal sealed class TrapTable
{
    /// <summary>Vectors.</summary>
    public const int Vectors = 256;

    private readonly TrapEntry[] _entries = new TrapEntry[Vectors];

    /// <summary>The entry of a vector; a null selector where the guest set none. The selector's RPL is raised to 1.</summary>
    public TrapEntry this[int vector]
    {
        get => _entries[vector];
        set => _entries[vector] = value with { Selector = Selectors.ForGuest(value.Selector) };
    }

    /// <summary>Forgets all entries.</summary>
    public void Clear() => Array.Clear(_entries);
}
