using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>
/// Which descriptors a guest may have in its tables. Segments of any base and limit are fine, because the page tables protect the
/// hypervisor; what is refused are ring 0, and system descriptors that change the processor's state. A call gate is kept in a form
/// that always faults (DPL 0, the wished DPL in the target's RPL), and <see cref="CallGate"/> carries it out.
/// </summary>
internal static unsafe class DescriptorCheck
{
    private const uint Present = 0x8000, CodeOrData = 0x1000, DplMask = 0x6000, TypeMask = 0x0F00, CallGate32 = 0x0C00;
    private const uint LongMode = 0x200000, Granularity = 0x800000, GateReserved = 0xE0;

    /// <summary>Checks a descriptor, and changes it to what the table may hold.</summary>
    /// <returns>False where it is refused.</returns>
    public static bool TryFix(ref ulong descriptor)
    {
        uint low = (uint)descriptor, high = (uint)(descriptor >> 32);
        if ((high & Present) == 0)
        {
            return true;
        }

        uint dpl = Math.Max(1, (high >> 13) & 3);
        high = (high & ~DplMask) | (dpl << 13);
        if ((high & CodeOrData) != 0)
        {
            if ((high & LongMode) != 0)
            {
                return false;
            }

            ExtendToMachineToPhys(ref low, ref high);
        }
        else if ((high & TypeMask) == 0)
        {
            return true;
        }
        else
        {
            var target = (ushort)(low >> 16);
            if ((high & TypeMask) != CallGate32 || !Selectors.MayBeGateTarget(target) || (high & GateReserved) != 0)
            {
                return false;
            }

            high &= ~DplMask;
            low = (low & 0xFFFF) | ((uint)(target & ~3) | dpl) << 16;
        }

        descriptor = low | ((ulong)high << 32);
        return true;
    }

    /// <summary>Checks a page that is to become part of a table, changing its descriptors in place.</summary>
    public static bool TryFixPage(byte* page)
    {
        var descriptors = (ulong*)page;
        for (int i = 0; i < Layout.PageSize / 8; i++)
        {
            ulong descriptor = descriptors[i];
            if (!TryFix(ref descriptor))
            {
                return false;
            }

            if (descriptor != descriptors[i])
            {
                descriptors[i] = descriptor;
            }
        }

        return true;
    }

    /// <summary>Old kernels end their flat segments below the hypervisor; they are given all 4 GiB, so that the machine-to-phys table is in reach.</summary>
    private static void ExtendToMachineToPhys(ref uint low, ref uint high)
    {
        uint start = (high & 0xFF000000) | ((high & 0xFF) << 16) | (low >> 16);
        ulong size = ((high & 0xF0000) | (low & 0xFFFF)) + 1UL;
        if ((high & Granularity) != 0)
        {
            size <<= 12;
        }

        if (start == 0 && size > Layout.HypervisorStart)
        {
            low |= 0xFFFF;
            high |= 0xF0000;
        }
    }
}
