using Dbt.Translator.State;

namespace Dbt.Xen.Processor;

/// <summary>A guest's control registers: most of their bits are the hypervisor's and stay as they are.</summary>
internal static unsafe class ControlRegisters
{
    /// <summary>PE, MP, ET, NE, WP, AM, PG.</summary>
    public const uint Cr0AtStart = 0x80050033;

    /// <summary>PAE, MCE, OSFXSR, OSXMMEXCPT.</summary>
    public const uint Cr4AtStart = 0x00000660;

    private const uint TaskSwitched = 8;

    // TSD and DE.
    private const uint Cr4OfGuest = 0x0000000C;

    /// <summary>Sets or clears CR0.TS.</summary>
    public static void SetTaskSwitched(Vcpu vcpu, bool set)
    {
        CpuState* cpu = vcpu.State;
        cpu->Cr0 = (cpu->Cr0 & ~TaskSwitched) | (set ? TaskSwitched : 0);
        cpu->RefreshMode();
    }

    /// <summary>MOV from CRn.</summary>
    /// <returns>False for #GP(0).</returns>
    public static bool TryRead(Vcpu vcpu, int register, out uint value)
    {
        CpuState* cpu = vcpu.State;
        value = register switch
        {
            0 => cpu->Cr0,
            2 => cpu->Cr2,
            3 => cpu->Cr3,
            4 => cpu->Cr4,
            _ => 0,
        };
        return register is 0 or 2 or 3 or 4;
    }

    /// <summary>MOV to CRn.</summary>
    /// <returns>False for #GP(0).</returns>
    public static bool TryWrite(Vcpu vcpu, int register, uint value)
    {
        CpuState* cpu = vcpu.State;
        switch (register)
        {
            case 0:
                if (((value ^ cpu->Cr0) & ~TaskSwitched) != 0)
                {
                    return false;
                }

                SetTaskSwitched(vcpu, (value & TaskSwitched) != 0);
                return true;
            case 2:
                cpu->Cr2 = value;
                *(uint*)(vcpu.Info + Abi.SharedInfoLayout.Cr2) = value;
                return true;
            case 3:
                // Page directories above 4 GiB are folded into the register (xen_cr3_to_pfn).
                return vcpu.Domain.Memory.SwitchBase(vcpu, FrameOfCr3(value)) == 0;
            case 4:
                cpu->Cr4 = (cpu->Cr4 & ~Cr4OfGuest) | (value & Cr4OfGuest);
                return true;
            default:
                return false;
        }
    }

    /// <summary>xen_cr3_to_pfn.</summary>
    public static uint FrameOfCr3(uint cr3) => (cr3 >> 12) | (cr3 << 20);

    /// <summary>xen_pfn_to_cr3.</summary>
    public static uint Cr3OfFrame(uint mfn) => (mfn << 12) | (mfn >> 20);
}
