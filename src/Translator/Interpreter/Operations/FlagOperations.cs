using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>PUSHF, POPF, LAHF, SAHF, CLC to STD, CLI, STI, SALC.</summary>
internal static unsafe class FlagOperations
{
    private const uint PushedMask = ~(Flags.Rf | Flags.Vm);

    /// <summary>PUSHF, PUSHFD: VM and RF are pushed as 0.</summary>
    public static bool Pushf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        SystemUnit.IsSensitive(cpu) ? Interpreter.GeneralProtection(cpu) : interpreter.Push(cpu, in d, d.Size, (LazyFlags.Read(cpu) & PushedMask) | Flags.Fixed);

    /// <summary>POPF, POPFD: IOPL changes only in ring 0, IF only where CPL is at most IOPL; no fault otherwise.</summary>
    public static bool Popf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (SystemUnit.IsSensitive(cpu))
        {
            return Interpreter.GeneralProtection(cpu);
        }

        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d), size, MemoryAccess.Read);
        if (stack == null)
        {
            return false;
        }

        uint value = Interpreter.Load(stack, size);
        Interpreter.MoveStack(cpu, in d, (uint)size);
        uint mask = ChangeableMask(cpu, size);
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (cpu->Eflags & ~mask) | (value & mask) | Flags.Fixed;
        if (size == 4)
        {
            cpu->Eflags &= ~Flags.Rf;
        }

        InterruptsAllowed(cpu);
        cpu->RefreshMode();
        return true;
    }

    /// <summary>The bits that POPF and IRET may change at this CPL and IOPL.</summary>
    public static uint ChangeableMask(CpuState* cpu, int size)
    {
        uint mask = Flags.Status | Flags.Tf | Flags.Df | Flags.Nt;
        if (cpu->Cpl == 0)
        {
            mask |= Flags.Iopl;
        }

        if (cpu->Cpl <= (int)((cpu->Eflags >> 12) & 3))
        {
            mask |= Flags.If;
        }

        return size == 2 ? mask : mask | Flags.Ac | Flags.Id;
    }

    /// <summary>LAHF.</summary>
    public static bool Lahf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interpreter.Store((byte*)cpu->Gpr + 1, 1, LazyFlags.Status(cpu) | Flags.Fixed);
        return true;
    }

    /// <summary>SAHF.</summary>
    public static bool Sahf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint ah = (cpu->Gpr[0] >> 8) & 0xFF & Flags.Status;
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & Flags.Of) | ah);
        return true;
    }

    /// <summary>CLC.</summary>
    public static bool Clc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => SetCarry(cpu, 0);

    /// <summary>STC.</summary>
    public static bool Stc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => SetCarry(cpu, Flags.Cf);

    /// <summary>CMC.</summary>
    public static bool Cmc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => SetCarry(cpu, LazyFlags.Carry(cpu) ^ Flags.Cf);

    /// <summary>CLD.</summary>
    public static bool Cld(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        cpu->Eflags &= ~Flags.Df;
        return true;
    }

    /// <summary>STD.</summary>
    public static bool Std(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        cpu->Eflags |= Flags.Df;
        return true;
    }

    /// <summary>SALC, undocumented by the manual and present in every processor.</summary>
    public static bool Salc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interpreter.Store((byte*)cpu->Gpr, 1, LazyFlags.Carry(cpu) != 0 ? 0xFFu : 0);
        return true;
    }

    /// <summary>CLI: #GP(0) where CPL exceeds IOPL.</summary>
    public static bool Cli(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (cpu->Cpl > (int)((cpu->Eflags >> 12) & 3))
        {
            return Interpreter.GeneralProtection(cpu);
        }

        cpu->Eflags &= ~Flags.If;
        return true;
    }

    /// <summary>STI: #GP(0) where CPL exceeds IOPL; holds interrupts off for one more instruction.</summary>
    public static bool Sti(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (cpu->Cpl > (int)((cpu->Eflags >> 12) & 3))
        {
            return Interpreter.GeneralProtection(cpu);
        }

        if ((cpu->Eflags & Flags.If) == 0)
        {
            cpu->Eflags |= Flags.If;
            cpu->InterruptShadow = 1;
            InterruptsAllowed(cpu);
        }

        return true;
    }

    /// <summary>IF may have been set: an interrupt that waits for it is looked at before the next instruction, shadows aside.</summary>
    public static void InterruptsAllowed(CpuState* cpu)
    {
        if ((cpu->Eflags & Flags.If) != 0 && cpu->InterruptWaits != 0)
        {
            cpu->Attention = 1;
        }
    }

    private static bool SetCarry(CpuState* cpu, uint carry)
    {
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & ~Flags.Cf) | carry);
        return true;
    }
}
