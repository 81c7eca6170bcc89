using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Memory;

/// <summary>
/// HYPERVISOR_update_va_mapping (public/xen.h): changes the L1 entry behind a linear address. Software TLBs drop what a changed entry covered
/// at once; the flush that the flags ask for waits for other processors (<see cref="Shootdown"/>).
/// </summary>
internal static class UpdateVaMapping
{
    private const uint FlushTypeMask = 3, TlbFlush = 1, InvalidatePage = 2, AllProcessors = 4;

    /// <summary>EBX linear address, ECX and EDX the new entry, ESI UVMF_ flags.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments) => Update(vcpu, arguments, vcpu.Domain.Id);

    /// <summary>As <see cref="Call"/>, with EDI the domain whose page is mapped; only one's own passes.</summary>
    public static int CallOtherDomain(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint id = (ushort)arguments.A5;
        if (id == Layout.DomidIo)
        {
            return Update(vcpu, arguments, Layout.DomidIo);
        }

        int error = MemoryHypercall.CheckDomain(vcpu, id);
        return error != 0 ? error : Update(vcpu, arguments, vcpu.Domain.Id);
    }

    private static int Update(Vcpu vcpu, in HypercallArguments arguments, ushort pageOwner)
    {
        ulong value = arguments.A2 | ((ulong)arguments.A3 << 32);
        int error = vcpu.Domain.Memory.UpdateMapping(vcpu, arguments.A1, value, pageOwner);
        vcpu.Domain.Memory.Relax();
        if (error != 0)
        {
            return error;
        }

        if ((arguments.A4 & FlushTypeMask) is not (TlbFlush or InvalidatePage))
        {
            return 0;
        }

        switch (arguments.A4 & ~FlushTypeMask)
        {
            case 0:
                return 0;
            case AllProcessors:
                Shootdown.All(vcpu);
                return 0;
            case uint bitmap:
                return Shootdown.Masked(vcpu, bitmap);
        }
    }
}
