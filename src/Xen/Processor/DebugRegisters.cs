using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>Debug registers as a guest may set them (SDM vol. 3, 17.2): no breakpoint on the hypervisor (XSA-444), no general detect.</summary>
internal static unsafe class DebugRegisters
{
    /// <summary>DR6.BS.</summary>
    public const uint SingleStep = 0x4000;

    /// <summary>DR6 and DR7 after a reset.</summary>
    public const uint Dr6AtStart = 0xFFFF0FF0, Dr7AtStart = 0x00000400;

    private const uint Dr6Zero = 0x00001000, Breakpoints0To3 = 0xF;
    private const uint Dr7Zero = 0x0000D800, Dr7Enables = 0xFF, GeneralDetect = 0x2000;
    private const uint DebuggingExtensions = 8;

    /// <summary>Reads a register; 4 and 5 are 6 and 7 unless CR4.DE is set.</summary>
    /// <returns>False where there is none such (#UD).</returns>
    public static bool TryRead(Vcpu vcpu, int register, out uint value)
    {
        CpuState* cpu = vcpu.State;
        value = 0;
        if (register is < 0 or > 7)
        {
            return false;
        }

        if (register is 4 or 5)
        {
            if ((cpu->Cr4 & DebuggingExtensions) != 0)
            {
                return false;
            }

            register += 2;
        }

        value = cpu->Dr[register] | (register == 7 ? vcpu.IoBreakpoints : 0);
        return true;
    }

    /// <summary>Sets a register.</summary>
    /// <returns>0; -ENODEV for none such, -EPERM for what a guest may not set.</returns>
    public static int Write(Vcpu vcpu, int register, uint value)
    {
        CpuState* cpu = vcpu.State;
        switch (register)
        {
            case >= 0 and <= 3:
                if (value >= Layout.HypervisorStart)
                {
                    return -Errno.EPERM;
                }

                cpu->Dr[register] = value;
                return 0;
            case 4 or 5 when (cpu->Cr4 & DebuggingExtensions) != 0:
                return -Errno.ENODEV;
            case 4 or 6:
                cpu->Dr[6] = (value & ~Dr6Zero) | Dr6AtStart;
                return 0;
            case 5 or 7:
                return WriteControl(vcpu, value);
            default:
                return -Errno.ENODEV;
        }
    }

    /// <summary>Which breakpoints an access to ports meets, as bits of DR6.</summary>
    public static uint MatchPort(Vcpu vcpu, uint port, int size)
    {
        CpuState* cpu = vcpu.State;
        if (vcpu.IoBreakpoints == 0 || (cpu->Cr4 & DebuggingExtensions) == 0)
        {
            return 0;
        }

        uint matched = 0;
        for (int i = 0; i < 4; i++)
        {
            if ((vcpu.IoBreakpoints & (3u << (i * 2))) != 0)
            {
                uint width = ((cpu->Dr[7] >> (18 + (i * 4))) & 3) switch { 0 => 1, 1 => 2, 2 => 8, _ => 4 };
                uint start = cpu->Dr[i] & ~(width - 1);
                matched |= start < port + (uint)size && start + width > port ? 1u << i : 0;
            }
        }

        return matched;
    }

    /// <summary>Raises #DB after an instruction that was carried out.</summary>
    public static void RaiseTrap(Vcpu vcpu, uint reasons)
    {
        CpuState* cpu = vcpu.State;
        cpu->Dr[6] = (cpu->Dr[6] & ~Breakpoints0To3) | reasons | Dr6AtStart;
        FaultDelivery.Inject(vcpu, new Fault { Vector = Vector.Debug });
    }

    private static int WriteControl(Vcpu vcpu, uint value)
    {
        CpuState* cpu = vcpu.State;
        if ((value & GeneralDetect) != 0)
        {
            return -Errno.EPERM;
        }

        value = (value & ~Dr7Zero) | Dr7AtStart;
        uint ports = 0;
        if ((value & Dr7Enables) != 0)
        {
            for (int i = 0; i < 4; i++)
            {
                if (((value >> (16 + (i * 4))) & 3) == 2)
                {
                    if ((cpu->Cr4 & DebuggingExtensions) == 0)
                    {
                        return -Errno.EPERM;
                    }

                    ports |= value & (3u << (i * 2));
                }
            }
        }

        vcpu.IoBreakpoints = ports;
        cpu->Dr[7] = value & ~ports;
        cpu->RefreshMode();
        return 0;
    }
}
