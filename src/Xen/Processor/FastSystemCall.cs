using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>
/// SYSENTER and SYSCALL of a 32-bit guest, as a 64-bit Xen has them: each exists with one vendor's processors only, leads to the callback
/// that the guest registered for it (public/callback.h), and is #GP(0) where there is none. With the other vendor it is #UD.
/// </summary>
internal static unsafe class FastSystemCall
{
    private const ushort NullRing3 = 3;
    private const uint TrapFlag = Flags.Tf;

    /// <summary>Deals with the instruction at EIP, which has faulted, where it is one of the two.</summary>
    /// <returns>True where the guest's kernel was entered, at the callback or a fault's handler.</returns>
    public static bool TryEnter(Vcpu vcpu)
    {
        Span<byte> bytes = stackalloc byte[2];
        if (vcpu.Decoder.Fetch(vcpu.State->Eip, bytes) < 2 || bytes[0] != 0x0F || bytes[1] is not (0x34 or 0x05))
        {
            return false;
        }

        bool amd = vcpu.Domain.Cpuid.Vendor == CpuVendor.Amd;
        bool isEnter = bytes[1] == 0x34;
        (ushort selector, uint address, bool masks) = isEnter ? vcpu.Callbacks.SystemEnter : vcpu.Callbacks.SystemCall;
        if (isEnter == amd)
        {
            FaultDelivery.Inject(vcpu, new Fault { Vector = Vector.InvalidOpcode });
        }
        else if ((selector & ~3) == 0)
        {
            FaultDelivery.Inject(vcpu, new Fault { Vector = Vector.GeneralProtection });
        }
        else
        {
            BounceFrame.Enter(vcpu, new Bounce(selector, address, masks, null, isEnter ? "SYSENTER" : "SYSCALL"), isEnter ? Entered(vcpu) : Called(vcpu));
        }

        return true;
    }

    // SYSENTER tells nobody where it was: the frame names a null selector of ring 3, and only the flags are the guest's.
    private static ReturnPoint Entered(Vcpu vcpu) =>
        new(NullRing3, 0, LazyFlags.Read(vcpu.State) & ~TrapFlag, Layout.FlatRing3Ds, 0);

    // SYSCALL keeps the stack pointer and leaves the next EIP in ECX.
    private static ReturnPoint Called(Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        cpu->Gpr[(int)Gpr.Ecx] = cpu->Eip + 2;
        return new ReturnPoint(Layout.FlatRing3Cs, cpu->Eip + 2, LazyFlags.Read(cpu), Layout.FlatRing3Ds, cpu->Gpr[(int)Gpr.Esp]);
    }
}
