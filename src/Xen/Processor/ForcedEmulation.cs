using Dbt.Translator.State;

namespace Dbt.Xen.Processor;

/// <summary>
/// The prefix UD2A "xen" (0F 0B 78 65 6E), which asks the hypervisor to carry out an instruction that doesn't trap by itself: CPUID
/// (public/arch-x86/xen.h, XEN_EMULATE_PREFIX).
/// </summary>
internal static unsafe class ForcedEmulation
{
    private static ReadOnlySpan<byte> PrefixAndCpuid => [0x0F, 0x0B, 0x78, 0x65, 0x6E, 0x0F, 0xA2];

    /// <summary>Carries it out where that is what stands at EIP.</summary>
    public static bool TryEmulate(Vcpu vcpu)
    {
        Span<byte> bytes = stackalloc byte[PrefixAndCpuid.Length];
        if (vcpu.Decoder.Fetch(vcpu.State->Eip, bytes) < bytes.Length || !bytes.SequenceEqual(PrefixAndCpuid))
        {
            return false;
        }

        Cpuid(vcpu);
        vcpu.State->Eip += (uint)bytes.Length;
        FaultDelivery.Emulated(vcpu);
        return true;
    }

    /// <summary>CPUID by the domain's policy.</summary>
    public static void Cpuid(Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        CpuidResult result = vcpu.Domain.Cpuid.Read(cpu->Gpr[(int)Gpr.Eax], cpu->Gpr[(int)Gpr.Ecx], vcpu.Id);
        cpu->Gpr[(int)Gpr.Eax] = result.Eax;
        cpu->Gpr[(int)Gpr.Ebx] = result.Ebx;
        cpu->Gpr[(int)Gpr.Ecx] = result.Ecx;
        cpu->Gpr[(int)Gpr.Edx] = result.Edx;
    }
}
