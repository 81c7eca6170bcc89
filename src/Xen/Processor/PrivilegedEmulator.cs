using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Xen.Processor;

/// <summary>
/// Carries out the privileged instructions that a paravirtual kernel in ring 1 may use although it has hypercalls for most of them: the
/// same set as Xen. Everything else that raises #GP(0) is the guest's own fault.
/// </summary>
internal static unsafe class PrivilegedEmulator
{
    private const int ArchitecturalIoplAssist = 4;
    private const uint TimeStampDisable = 4;

    /// <summary>Tries the instruction at EIP.</summary>
    /// <returns>True where it was carried out, EIP advanced or a fault of the emulation delivered.</returns>
    public static bool TryEmulate(Vcpu vcpu)
    {
        if (!vcpu.Decoder.TryDecode(out Instruction instruction) || instruction.HasLockPrefix)
        {
            return false;
        }

        CpuState* cpu = vcpu.State;
        bool kernel = cpu->Cpl == 1;
        uint next = cpu->Eip + (uint)instruction.Length;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd:
                return PortEmulator.TryEmulate(vcpu, instruction, next);
            case Mnemonic.Cli or Mnemonic.Sti when IoplAllows(vcpu):
                // The guest's interrupt flag is the upcall mask; as in Xen, CLI and STI leave it alone.
                break;
            case Mnemonic.Cpuid:
                ForcedEmulation.Cpuid(vcpu);
                break;
            case Mnemonic.Rdtsc when kernel || (cpu->Cr4 & TimeStampDisable) == 0:
                SetEdxEax(cpu, vcpu.ReadTsc(cpu));
                break;
            case Mnemonic.Wbinvd when kernel:
                break;
            case Mnemonic.Clts when kernel:
                ControlRegisters.SetTaskSwitched(vcpu, false);
                break;
            case Mnemonic.Rdmsr when kernel:
                if (!ModelSpecificRegisters.TryRead(vcpu, cpu->Gpr[(int)Gpr.Ecx], out ulong value))
                {
                    return false;
                }

                SetEdxEax(cpu, value);
                break;
            case Mnemonic.Wrmsr when kernel:
                ulong written = cpu->Gpr[(int)Gpr.Eax] | ((ulong)cpu->Gpr[(int)Gpr.Edx] << 32);
                if (!ModelSpecificRegisters.TryWrite(vcpu, cpu->Gpr[(int)Gpr.Ecx], written))
                {
                    return false;
                }

                break;
            case Mnemonic.Mov when kernel:
                if (!TryMove(vcpu, instruction, out bool faulted))
                {
                    return false;
                }

                if (faulted)
                {
                    return true;
                }

                break;
            default:
                return false;
        }

        cpu->Eip = next;
        FaultDelivery.Emulated(vcpu);
        return true;
    }

    /// <summary>Whether the virtual I/O privilege level lets the present privilege level do I/O.</summary>
    public static bool IoplAllows(Vcpu vcpu)
    {
        bool architectural = (vcpu.Domain.VmAssist & (1u << ArchitecturalIoplAssist)) != 0;
        uint level = vcpu.State->Cpl == 1 ? (architectural ? 0u : 1u) : 3u;
        return level << 12 <= vcpu.Iopl;
    }

    private static bool TryMove(Vcpu vcpu, in Instruction instruction, out bool faulted)
    {
        faulted = false;
        CpuState* cpu = vcpu.State;
        Register to = instruction.Op0Register, from = instruction.Op1Register;
        if (from is >= Register.CR0 and <= Register.CR15)
        {
            if (!ControlRegisters.TryRead(vcpu, from - Register.CR0, out uint value))
            {
                return false;
            }

            cpu->Gpr[to - Register.EAX] = value;
            return true;
        }

        if (to is >= Register.CR0 and <= Register.CR15)
        {
            return ControlRegisters.TryWrite(vcpu, to - Register.CR0, cpu->Gpr[from - Register.EAX]);
        }

        if (from is >= Register.DR0 and <= Register.DR7)
        {
            if (DebugRegisters.TryRead(vcpu, from - Register.DR0, out uint value))
            {
                cpu->Gpr[to - Register.EAX] = value;
                return true;
            }
        }
        else if (to is >= Register.DR0 and <= Register.DR7)
        {
            int error = DebugRegisters.Write(vcpu, to - Register.DR0, cpu->Gpr[from - Register.EAX]);
            if (error != -Abi.Errno.ENODEV)
            {
                return error == 0;
            }
        }
        else
        {
            return false;
        }

        // DR4 and DR5 with CR4.DE set.
        FaultDelivery.Inject(vcpu, new Fault { Vector = Vector.InvalidOpcode });
        faulted = true;
        return true;
    }

    private static void SetEdxEax(CpuState* cpu, ulong value)
    {
        cpu->Gpr[(int)Gpr.Eax] = (uint)value;
        cpu->Gpr[(int)Gpr.Edx] = (uint)(value >> 32);
    }
}
