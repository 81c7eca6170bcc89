using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>The contents of a 32-bit or 16-bit TSS (SDM vol. 3, figures 7-2 and 7-10).</summary>
internal unsafe struct TaskImage
{
    private const int SavedLength32 = 0x60 - 0x20, SavedLength16 = 0x2A - 0x0E;

    private fixed byte _bytes[0x68];

    /// <summary>An empty image, to be saved to.</summary>
    public TaskImage(bool wide) => Wide = wide;

    /// <summary>An image that was read.</summary>
    public TaskImage(byte* bytes, bool wide)
    {
        Wide = wide;
        for (int i = 0; i < 0x68; i++)
        {
            _bytes[i] = wide || i < 0x2C ? bytes[i] : (byte)0;
        }
    }

    /// <summary>32-bit.</summary>
    public bool Wide { get; }

    /// <summary>Where what a task switch saves begins.</summary>
    public readonly uint Start => Wide ? 0x20u : 0x0Eu;

    /// <summary>What a task switch saves: EIP to the last selector.</summary>
    public ReadOnlySpan<byte> Saved
    {
        get
        {
            fixed (byte* bytes = _bytes)
            {
                return new ReadOnlySpan<byte>(bytes + Start, Wide ? SavedLength32 : SavedLength16).ToArray();
            }
        }
    }

    public readonly uint Directory => Get(0x1C, 4);

    public readonly uint Eip => Word(0);

    public readonly uint Eflags => Word(1);

    public readonly ushort Local => (ushort)Get(Wide ? 0x60 : 0x2A, 2);

    /// <summary>The T bit.</summary>
    public readonly bool Traps => Wide && (Get(0x64, 2) & 1) != 0;

    /// <summary>A segment register's selector; a 16-bit TSS has no FS and GS.</summary>
    public readonly ushort Selector(int index) =>
        Wide ? (ushort)Get(0x48 + (index * 4), 2) : index < 4 ? (ushort)Get(0x22 + (index * 2), 2) : (ushort)0;

    public readonly void LoadRegisters(CpuState* cpu)
    {
        for (int i = 0; i < 8; i++)
        {
            // A 16-bit TSS leaves ones in the upper halves.
            cpu->Gpr[i] = Word(2 + i) | (Wide ? 0 : 0xFFFF0000);
        }
    }

    public void Save(CpuState* cpu, uint eip, uint eflags)
    {
        SetWord(0, eip);
        SetWord(1, eflags);
        for (int i = 0; i < 8; i++)
        {
            SetWord(2 + i, cpu->Gpr[i]);
        }

        for (int i = 0; i < (Wide ? 6 : 4); i++)
        {
            Set(Wide ? 0x48 + (i * 4) : 0x22 + (i * 2), cpu->Segments[(SegmentIndex)i].Selector, Wide ? 4 : 2);
        }
    }

    private readonly uint Word(int index) => Wide ? Get(0x20 + (index * 4), 4) : Get(0x0E + (index * 2), 2);

    private void SetWord(int index, uint value) => Set(Wide ? 0x20 + (index * 4) : 0x0E + (index * 2), value, Wide ? 4 : 2);

    private readonly uint Get(int offset, int size)
    {
        uint value = 0;
        for (int i = 0; i < size; i++)
        {
            value |= (uint)_bytes[offset + i] << (i * 8);
        }

        return value;
    }

    private void Set(int offset, uint value, int size)
    {
        for (int i = 0; i < size; i++)
        {
            _bytes[offset + i] = (byte)(value >> (i * 8));
        }
    }
}
