using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Dbt.Translator.Protection.ControlBits;

namespace Dbt.Translator.Protection;

/// <summary>Control and debug registers (SDM vol. 3, 2.5 and 17.2), and with them the machine-specific ones.</summary>
internal sealed unsafe partial class SystemRegisters(SystemUnit system)
{
    // Bits of CR0 that a processor keeps; the others are ignored.
    private const uint Cr0Kept = 0xE005003F;
    private const uint Dr6Writable = 0x0000E00F;
    private const uint Dr7Zero = 0x0000D800;

    /// <summary>After a reset.</summary>
    public void Reset()
    {
        Efer = 0;
        ResetMsrs();
    }

    /// <summary>MOV to or from CRn and DRn, in ring 0.</summary>
    public bool Move(CpuState* cpu, in Instruction instruction)
    {
        Register to = instruction.Op0Register, from = instruction.Op1Register;
        if (instruction.HasLockPrefix)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidOpcode); // LOCK MOV CR0 is CR8 on some, which is of 64-bit mode
        }

        if (from.IsCR())
        {
            return TryReadControl(cpu, from - Register.CR0, ref cpu->Gpr[to - Register.EAX]);
        }

        if (to.IsCR())
        {
            return TryWriteControl(cpu, to - Register.CR0, cpu->Gpr[from - Register.EAX]);
        }

        bool reads = from.IsDR();
        if (!reads && !to.IsDR())
        {
            return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
        }

        int index = reads ? from - Register.DR0 : to - Register.DR0;
        if (index is 4 or 5)
        {
            if ((cpu->Cr4 & Cr4De) != 0)
            {
                return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
            }

            index += 2;
        }

        if (index > 7)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
        }

        if ((cpu->Dr[7] & Breakpoints.GeneralDetect) != 0)
        {
            cpu->Dr[6] |= Breakpoints.AccessDetected;
            return SystemUnit.Raise(cpu, Vector.Debug);
        }

        if (reads)
        {
            cpu->Gpr[to - Register.EAX] = cpu->Dr[index];
        }
        else
        {
            uint value = cpu->Gpr[from - Register.EAX];
            cpu->Dr[index] = index switch
            {
                6 => (value & Dr6Writable) | Breakpoints.Dr6Fixed,
                7 => (value & ~Dr7Zero) | Breakpoints.Dr7Fixed,
                _ => value,
            };
        }

        return true;
    }

    /// <summary>LMSW: PE, MP, EM and TS; PE can't be cleared.</summary>
    public bool LoadMachineStatus(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.TryOperand0(cpu, in d, 2, out uint value) && TryWriteControl(cpu, 0, (cpu->Cr0 & ~0xEu) | (value & 0xF));

    /// <summary>A new CR3, where paging is as before.</summary>
    public bool TrySetCr3(CpuState* cpu, uint value)
    {
        bool pae = (cpu->Cr4 & Cr4Pae) != 0 && (cpu->Cr0 & Cr0Pg) != 0;
        if (pae && !system.Paging.TryLoadDirectoryPointers(value))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Cr3 = value;
        system.Owner.FlushLocal(cpu);
        return true;
    }

    private static bool TryReadControl(CpuState* cpu, int index, ref uint register)
    {
        switch (index)
        {
            case 0:
                register = cpu->Cr0;
                return true;
            case 2:
                register = cpu->Cr2;
                return true;
            case 3:
                register = cpu->Cr3;
                return true;
            case 4:
                register = cpu->Cr4;
                return true;
            default:
                return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
        }
    }

    private bool TryWriteControl(CpuState* cpu, int index, uint value)
    {
        switch (index)
        {
            case 0:
                return TrySetCr0(cpu, value);
            case 2:
                cpu->Cr2 = value;
                return true;
            case 3:
                return TrySetCr3(cpu, value);
            case 4:
                return TrySetCr4(cpu, value);
            default:
                return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
        }
    }

    private bool TrySetCr0(CpuState* cpu, uint value)
    {
        value = (value & Cr0Kept) | Cr0Et;
        bool contradiction = (value & (Cr0Pg | Cr0Pe)) == Cr0Pg || (value & (Cr0Nw | Cr0Cd)) == Cr0Nw;
        uint changed = value ^ cpu->Cr0;
        bool loadsPointers = (value & Cr0Pg) != 0 && (cpu->Cr4 & Cr4Pae) != 0 && (changed & (Cr0Pg | Cr0Nw | Cr0Cd)) != 0;
        if (contradiction || (loadsPointers && !system.Paging.TryLoadDirectoryPointers(cpu->Cr3)))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if ((value & Cr0Pe) == 0 && cpu->RealMode == 0)
        {
            system.Owner.Stop(cpu, "the kernel went back to real mode, which this processor has for its start only");
            return true;
        }

        cpu->Cr0 = value;
        cpu->RealMode = (value & Cr0Pe) == 0 ? 1 : 0;
        if ((changed & (Cr0Pg | Cr0Wp)) != 0)
        {
            system.Owner.FlushAll();
        }

        return true;
    }

    private bool TrySetCr4(CpuState* cpu, uint value)
    {
        uint changed = value ^ cpu->Cr4;
        bool loadsPointers = (cpu->Cr0 & Cr0Pg) != 0 && (value & Cr4Pae) != 0 && (changed & (Cr4Pae | Cr4Pge | Cr4Pse | Cr4Smep)) != 0;
        if ((value & ~system.Owner.Cr4Supported) != 0 || (loadsPointers && !system.Paging.TryLoadDirectoryPointers(cpu->Cr3)))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Cr4 = value;
        cpu->RefreshMode();
        if ((changed & (Cr4Pse | Cr4Pae | Cr4Pge | Cr4Smep)) != 0)
        {
            system.Owner.FlushAll();
        }

        return true;
    }
}
