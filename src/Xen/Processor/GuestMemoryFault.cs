using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Xen.Processor;

/// <summary>The page fault that an emulated access would have met.</summary>
internal static unsafe class GuestMemoryFault
{
    /// <summary>Finds the first byte of a failed access that can't be reached.</summary>
    public static Fault Find(Vcpu vcpu, uint linear, uint length, bool write)
    {
        MemoryAccess access = write ? MemoryAccess.Write : MemoryAccess.Read;
        uint at = linear;
        if (vcpu.TryResolve(vcpu.State, at, access, false, out _, out PageFaultCode error))
        {
            at = (linear + length - 1) & ~0xFFFu;
            if (vcpu.TryResolve(vcpu.State, at, access, false, out _, out error))
            {
                // Not the page tables: the address is the hypervisor's.
                error = PageFaultCode.Protection | (write ? PageFaultCode.Write : PageFaultCode.None);
            }
        }

        return new Fault { Vector = Vector.PageFault, ErrorCode = (uint)error, Address = at };
    }
}
