using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Segments of virtual-8086 mode (SDM vol. 3, 20.1.1).</summary>
internal static unsafe class Virtual8086
{
    /// <summary>What a segment register holds after a load of a value: 64 KiB at sixteen times that, writable, ring 3.</summary>
    public static Segment SegmentOf(ushort value) => new()
    {
        Selector = value,
        Base = (uint)value << 4,
        Low = 0,
        High = 0xFFFF,
        Attributes = 0x00F3,
    };

    /// <summary>The same as a code segment; like all segments of this mode it may be read and written.</summary>
    public static Segment CodeOf(ushort value) => SegmentOf(value);

    /// <summary>Loads CS:EIP.</summary>
    /// <returns>False for #GP(0) where EIP is beyond 64 KiB.</returns>
    public static bool Go(CpuState* cpu, ushort selector, uint eip)
    {
        if (eip > 0xFFFF)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Segments[SegmentIndex.Cs] = CodeOf(selector);
        cpu->Eip = eip;
        cpu->RefreshMode();
        return true;
    }
}
