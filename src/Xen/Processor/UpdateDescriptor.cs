using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_update_descriptor (public/arch-x86/xen.h): one descriptor, by machine address.</summary>
internal static unsafe class UpdateDescriptor
{
    /// <summary>EBX and ECX machine address (low, high), EDX and ESI descriptor (low, high).</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        ulong address = arguments.A1 | ((ulong)arguments.A2 << 32);
        ulong descriptor = arguments.A3 | ((ulong)arguments.A4 << 32);
        if ((address & 7) != 0 || address >> 12 > uint.MaxValue || !DescriptorCheck.TryFix(ref descriptor))
        {
            return -Errno.EINVAL;
        }

        // A page in use as a table stays one; any other must be a plain page, and is one while it is written.
        var mfn = (uint)(address >> 12);
        DomainMemory memory = vcpu.Domain.Memory;
        if (!memory.TryGetPageAndType(mfn, memory.Owns(mfn) && memory.TypeOf(mfn) == PageType.Descriptor ? PageType.Descriptor : PageType.Writable))
        {
            return -Errno.EINVAL;
        }

        byte* place = vcpu.Domain.Hypervisor.Machine.Frame(mfn) + (address & 0xFFF);
        Volatile.Write(ref *(ulong*)place, descriptor);
        vcpu.CodeMap.Written(place, 8);
        memory.PutPageAndType(mfn);
        return 0;
    }
}
