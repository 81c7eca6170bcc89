using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_set_gdt (public/arch-x86/xen.h).</summary>
internal static class SetGdt
{
    /// <summary>EBX list of frames, ECX entries.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint entries = arguments.A2;
        if (entries > Layout.FirstReservedGdtEntry)
        {
            return -Errno.EINVAL;
        }

        Span<uint> frames = stackalloc uint[Layout.FirstReservedGdtPage];
        frames = frames[..(int)((entries + 511) / 512)];
        return GuestAccess.TryRead(vcpu, arguments.A1, MemoryMarshal.AsBytes(frames)) ? vcpu.Descriptors.SetGdt(frames, entries) : -Errno.EFAULT;
    }
}
