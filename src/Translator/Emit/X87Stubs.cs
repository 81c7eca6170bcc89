using Dbt.Translator.Interpretation.Native;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Emit;

/// <summary>
/// Host code for runs of x87 instructions, called with the host addresses of their memory operands in the order of the first six
/// argument registers (System V).
/// </summary>
internal static class X87Stubs
{
    /// <summary>Memory operands that a run may have.</summary>
    public const int MaxOperands = 6;

    private static readonly Register[] Arguments = [Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9];

    /// <summary>The code for a run; 0 where there is no more room.</summary>
    /// <param name="run">The instructions, of which the last may compare to the flags or store the status word in AX: the code then returns that.</param>
    public static nint Find(ReadOnlySpan<Instruction> run)
    {
        var a = new Assembler(64);
        int operands = 0;
        foreach (ref readonly Instruction guest in run)
        {
            if (guest.Mnemonic == Mnemonic.Wait)
            {
                // Nothing waits where all exceptions are masked.
                continue;
            }

            if (EmitX87Operands.ReadsFlags(guest))
            {
                a.push(rdi);
                a.popfq();
            }

            Instruction host = ThunkAssembler.Canonical(guest, out _);
            if (EmitX87Operands.HasMemory(guest))
            {
                host.MemoryBase = Arguments[operands++];
            }

            a.AddInstruction(host);
            if (guest.Mnemonic == Mnemonic.Fnstsw && guest.Op0Kind == OpKind.Register)
            {
                a.movzx(eax, ax);
            }
            else if (EmitX87Operands.WritesFlags(guest))
            {
                a.pushfq();
                a.pop(rax);
            }
        }

        a.ret();
        return HostStubs.Place(a);
    }
}

/// <summary>What can be asked of an x87 instruction's operands.</summary>
internal static class EmitX87Operands
{
    // Iced also counts the unit's own condition bits.
    private const RflagsBits Status = RflagsBits.CF | RflagsBits.PF | RflagsBits.ZF;

    /// <summary>Whether it reads the processor's flags: FCMOVcc.</summary>
    public static bool ReadsFlags(in Instruction instruction) => (instruction.RflagsRead & Status) != 0;

    /// <summary>Whether it writes the processor's flags: FCOMI and its kin.</summary>
    public static bool WritesFlags(in Instruction instruction) => (instruction.RflagsModified & Status) != 0;

    /// <summary>Whether it has a memory operand.</summary>
    public static bool HasMemory(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                return true;
            }
        }

        return false;
    }
}
