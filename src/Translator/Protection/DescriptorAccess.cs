using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>The descriptor tables in memory (SDM vol. 3, 3.4 and 3.5).</summary>
internal sealed unsafe class DescriptorAccess(SystemUnit system)
{
    private const uint TableIndicator = 4;

    /// <summary>Where a selector's descriptor lies.</summary>
    /// <returns>False where it is beyond the table, or there is no LDT.</returns>
    public bool TryFind(CpuState* cpu, ushort selector, out uint address)
    {
        uint offset = selector & 0xFFF8u;
        if ((selector & TableIndicator) == 0)
        {
            address = cpu->GdtrBase + offset;
            return offset + 7 <= cpu->GdtrLimit;
        }

        address = cpu->Ldtr.Base + offset;
        return cpu->Ldtr.Present && (cpu->Ldtr.Selector & 0xFFFC) != 0 && offset + 7 <= cpu->Ldtr.High;
    }

    /// <summary>Reads a descriptor; what isn't there is <paramref name="vector"/> with the selector.</summary>
    public bool TryRead(CpuState* cpu, ushort selector, Vector vector, uint external, out ulong descriptor)
    {
        descriptor = 0;
        return TryFind(cpu, selector, out uint address)
            ? system.Memory.TryRead64(cpu, address, out descriptor)
            : SystemUnit.Raise(cpu, vector, (selector & 0xFFFCu) | external);
    }

    /// <summary>Sets the accessed bit of a code or data descriptor that is loaded.</summary>
    public bool TrySetAccessed(CpuState* cpu, ref Segment segment)
    {
        if ((segment.Attributes & 0x11) == 0x10)
        {
            segment.Attributes |= 1;
            return !TryFind(cpu, segment.Selector, out uint address) || system.Memory.TryChangeBits(cpu, address + 5, 1, 0);
        }

        return true;
    }

    /// <summary>Sets or clears the busy bit of a TSS descriptor.</summary>
    public bool TrySetBusy(CpuState* cpu, ushort selector, bool busy) =>
        !TryFind(cpu, selector, out uint address)
        || system.Memory.TryChangeBits(cpu, address + 5, busy ? (byte)2 : (byte)0, busy ? (byte)0 : (byte)2);
}
