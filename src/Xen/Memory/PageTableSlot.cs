namespace Dbt.Xen.Memory;

/// <summary>How a processor's page tables are laid out.</summary>
internal enum PagingMode
{
    /// <summary>Two levels of 1024 entries of four bytes; a level-2 entry may be a 4-MiB page (SDM vol. 3, 4.3).</summary>
    TwoLevel,

    /// <summary>Four level-3 entries, then two levels of 512 entries of eight bytes; a level-2 entry may be a 2-MiB page (SDM vol. 3, 4.4).</summary>
    Pae,
}

/// <summary>An entry of a page table, as <see cref="PageRange"/> comes by it.</summary>
/// <param name="mode">Layout of its table.</param>
/// <param name="level">1 maps pages; 2, and 3 in PAE, lead to tables.</param>
/// <param name="linear">First linear address that it stands for.</param>
/// <param name="physical">Its own address, in the numbers that entries hold.</param>
/// <param name="host">Where it lies.</param>
internal readonly unsafe struct PageTableSlot(PagingMode mode, int level, uint linear, ulong physical, byte* host)
{
    /// <summary>1 maps pages; 2, and 3 in PAE, lead to tables.</summary>
    public int Level => level;

    /// <summary>First linear address that it stands for.</summary>
    public uint Linear => linear;

    /// <summary>Frame of its table.</summary>
    public uint Table => (uint)(physical >> 12);

    /// <summary>Its number in its page.</summary>
    public int Index => (int)(physical & 0xFFF) / EntryBytes(mode);

    /// <summary>What it holds now; read once.</summary>
    public ulong Value => mode == PagingMode.Pae ? Volatile.Read(ref *(ulong*)host) : Volatile.Read(ref *(uint*)host);

    /// <summary>Writes it, with nothing counted: for tables that no processor uses yet.</summary>
    public void Write(ulong value)
    {
        if (mode == PagingMode.Pae)
        {
            Volatile.Write(ref *(ulong*)host, value);
        }
        else
        {
            Volatile.Write(ref *(uint*)host, (uint)value);
        }
    }

    /// <summary>Bytes of an entry.</summary>
    public static int EntryBytes(PagingMode mode) => mode == PagingMode.Pae ? 8 : 4;

    /// <summary>An entry of a level stands for 2 to the power of this many bytes.</summary>
    public static int Shift(PagingMode mode, int level) => 12 + ((level - 1) * (mode == PagingMode.Pae ? 9 : 10));

    /// <summary>Levels that there are.</summary>
    public static int Levels(PagingMode mode) => mode == PagingMode.Pae ? 3 : 2;
}
