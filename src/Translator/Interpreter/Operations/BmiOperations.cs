using System.Numerics;
using System.Runtime.Intrinsics.X86;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// BMI1 and BMI2: VEX-encoded, but on general registers alone. Operands are 32 bits wide in every mode.
/// Undefined flags are as AMD's Zen leaves them: PF of the result, AF set by BEXTR only.
/// </summary>
internal static unsafe class BmiOperations
{
    /// <summary>ADCX: addition with a carry in CF that leaves all other flags alone.</summary>
    public static bool Adcx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AddCarry(interpreter, cpu, in d, Flags.Cf);

    /// <summary>ADOX: the same with OF.</summary>
    public static bool Adox(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AddCarry(interpreter, cpu, in d, Flags.Of);

    /// <summary>ANDN.</summary>
    public static bool Andn(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryOperand2(interpreter, cpu, in d, out uint value))
        {
            return false;
        }

        uint result = ~*(uint*)Interpreter.Register(cpu, d.Register1) & value;
        return Finish(cpu, in d, result, LazyFlags.ZeroSignParity(result, 4));
    }

    /// <summary>BEXTR.</summary>
    public static bool Bextr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        uint control = *(uint*)Interpreter.Register(cpu, d.Register2);
        int start = (int)control & 0xFF;
        int length = (int)(control >> 8) & 0xFF;
        uint result = start > 31 ? 0 : Low(value >> start, length);
        return Finish(cpu, in d, result, (LazyFlags.ZeroSignParity(result, 4) & ~Flags.Sf) | Flags.Af);
    }

    /// <summary>BLSI: the lowest bit set.</summary>
    public static bool Blsi(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        uint result = value & (0 - value);
        return Finish(cpu, in d, result, LazyFlags.ZeroSignParity(result, 4) | (value != 0 ? Flags.Cf : 0));
    }

    /// <summary>BLSMSK: all bits up to the lowest one set.</summary>
    public static bool Blsmsk(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        uint result = value ^ (value - 1);
        return Finish(cpu, in d, result, LazyFlags.ZeroSignParity(result, 4) | (value == 0 ? Flags.Cf : 0));
    }

    /// <summary>BLSR: without the lowest bit set.</summary>
    public static bool Blsr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        uint result = value & (value - 1);
        return Finish(cpu, in d, result, LazyFlags.ZeroSignParity(result, 4) | (value == 0 ? Flags.Cf : 0));
    }

    /// <summary>BZHI: bits below an index.</summary>
    public static bool Bzhi(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        int index = *Interpreter.Register(cpu, d.Register2);
        uint result = Low(value, index);
        return Finish(cpu, in d, result, LazyFlags.ZeroSignParity(result, 4) | (index > 31 ? Flags.Cf : 0));
    }

    /// <summary>MULX: EDX times the operand; the high half wins where both destinations are one.</summary>
    public static bool Mulx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryOperand2(interpreter, cpu, in d, out uint value))
        {
            return false;
        }

        ulong product = (ulong)cpu->Gpr[(int)Gpr.Edx] * value;
        *(uint*)Interpreter.Register(cpu, d.Register1) = (uint)product;
        *(uint*)Interpreter.Register(cpu, d.Register0) = (uint)(product >> 32);
        return true;
    }

    /// <summary>PDEP: low bits of operand 1 to the places that the mask names.</summary>
    public static bool Pdep(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryOperand2(interpreter, cpu, in d, out uint mask))
        {
            return false;
        }

        uint source = *(uint*)Interpreter.Register(cpu, d.Register1);
        uint result = 0;
        if (Bmi2.IsSupported)
        {
            result = Bmi2.ParallelBitDeposit(source, mask);
        }
        else
        {
            for (; mask != 0; mask &= mask - 1, source >>= 1)
            {
                result |= (source & 1) != 0 ? mask & (0 - mask) : 0;
            }
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = result;
        return true;
    }

    /// <summary>PEXT: the bits of operand 1 that the mask names, side by side.</summary>
    public static bool Pext(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryOperand2(interpreter, cpu, in d, out uint mask))
        {
            return false;
        }

        uint source = *(uint*)Interpreter.Register(cpu, d.Register1);
        uint result = 0;
        if (Bmi2.IsSupported)
        {
            result = Bmi2.ParallelBitExtract(source, mask);
        }
        else
        {
            for (int i = 0; mask != 0; mask &= mask - 1, i++)
            {
                result |= (source & mask & (0 - mask)) != 0 ? 1u << i : 0;
            }
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = result;
        return true;
    }

    /// <summary>RORX.</summary>
    public static bool Rorx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = BitOperations.RotateRight(value, (int)d.Immediate & 31);
        return true;
    }

    /// <summary>SARX.</summary>
    public static bool Sarx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = (uint)((int)value >> (int)*(uint*)Interpreter.Register(cpu, d.Register2));
        return true;
    }

    /// <summary>SHLX.</summary>
    public static bool Shlx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = value << (int)*(uint*)Interpreter.Register(cpu, d.Register2);
        return true;
    }

    /// <summary>SHRX.</summary>
    public static bool Shrx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        *(uint*)Interpreter.Register(cpu, d.Register0) = value >> (int)*(uint*)Interpreter.Register(cpu, d.Register2);
        return true;
    }

    private static bool AddCarry(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint carry)
    {
        if (!interpreter.TryOperand1(cpu, in d, 4, out uint value))
        {
            return false;
        }

        uint flags = LazyFlags.Status(cpu);
        var register = (uint*)Interpreter.Register(cpu, d.Register0);
        ulong sum = (ulong)*register + value + ((flags & carry) != 0 ? 1u : 0);
        *register = (uint)sum;
        LazyFlags.SetStatus(cpu, (flags & ~carry) | (sum >> 32 != 0 ? carry : 0));
        return true;
    }

    private static uint Low(uint value, int bits) => bits > 31 ? value : value & ((1u << bits) - 1);

    private static bool Finish(CpuState* cpu, in DecodedInstruction d, uint result, uint flags)
    {
        *(uint*)Interpreter.Register(cpu, d.Register0) = result;
        LazyFlags.SetStatus(cpu, flags);
        return true;
    }

    private static bool TryOperand2(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, out uint value)
    {
        byte* pointer = d.Kind2 == OperandKind.Register
            ? Interpreter.Register(cpu, d.Register2)
            : interpreter.Open(cpu, in d, 4, MemoryAccess.Read);
        value = pointer == null ? 0 : Interpreter.Load(pointer, 4);
        return pointer != null;
    }
}
