using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>MUL, IMUL, DIV, IDIV. Flags that the manual leaves undefined are as AMD's Zen leaves them.</summary>
internal static unsafe class MultiplyOperations
{
    /// <summary>MUL: AX, DX:AX or EDX:EAX = accumulator * operand.</summary>
    public static bool Mul(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (!interpreter.TryOperand0(cpu, in d, size, out uint value))
        {
            return false;
        }

        ulong product = (ulong)Interpreter.Load((byte*)cpu->Gpr, size) * value;
        StoreWide(cpu, size, product);
        SetOverflow(cpu, product >> (size * 8) != 0);
        return true;
    }

    /// <summary>IMUL with one, two or three operands.</summary>
    public static bool Imul(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        uint a;
        uint b;
        if (d.Kind1 == OperandKind.None)
        {
            if (!interpreter.TryOperand0(cpu, in d, size, out b))
            {
                return false;
            }

            long wide = (long)Interpreter.SignExtend(Interpreter.Load((byte*)cpu->Gpr, size), size) * Interpreter.SignExtend(b, size);
            StoreWide(cpu, size, (ulong)wide);
            SetOverflow(cpu, wide != Interpreter.SignExtend((uint)wide, size));
            return true;
        }

        if (d.Kind2 == OperandKind.Immediate)
        {
            // Operand 1 is never the immediate here, though d.Immediate holds operand 2.
            if (!interpreter.TryOperand1(cpu, in d, size, out a))
            {
                return false;
            }

            b = d.Immediate;
        }
        else
        {
            if (!interpreter.TryOperand1(cpu, in d, size, out b))
            {
                return false;
            }

            a = Interpreter.Load(Interpreter.Register(cpu, d.Register0), size);
        }

        long product = (long)Interpreter.SignExtend(a, size) * Interpreter.SignExtend(b, size);
        Interpreter.Store(Interpreter.Register(cpu, d.Register0), size, (uint)product);
        SetOverflow(cpu, product != Interpreter.SignExtend((uint)product, size));
        return true;
    }

    /// <summary>DIV; #DE where the quotient does not fit.</summary>
    public static bool Div(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (!interpreter.TryOperand0(cpu, in d, size, out uint divisor))
        {
            return false;
        }

        ulong dividend = LoadWide(cpu, size);
        if (divisor == 0 || dividend / divisor > Interpreter.Mask(size))
        {
            return Interpreter.Raise(cpu, Vector.DivideError);
        }

        StoreQuotient(cpu, size, (uint)(dividend / divisor), (uint)(dividend % divisor));
        return true;
    }

    /// <summary>IDIV; #DE where the quotient does not fit.</summary>
    public static bool Idiv(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (!interpreter.TryOperand0(cpu, in d, size, out uint operand))
        {
            return false;
        }

        long divisor = Interpreter.SignExtend(operand, size);
        int shift = 64 - (size * 16);
        long dividend = (long)(LoadWide(cpu, size) << shift) >> shift;
        if (divisor == 0 || (dividend == long.MinValue && divisor == -1))
        {
            return Interpreter.Raise(cpu, Vector.DivideError);
        }

        long quotient = dividend / divisor;
        if (quotient != Interpreter.SignExtend((uint)quotient, size))
        {
            return Interpreter.Raise(cpu, Vector.DivideError);
        }

        StoreQuotient(cpu, size, (uint)quotient, (uint)(dividend % divisor));
        return true;
    }

    private static ulong LoadWide(CpuState* cpu, int size)
    {
        uint eax = cpu->Gpr[(int)Gpr.Eax], edx = cpu->Gpr[(int)Gpr.Edx];
        return size switch
        {
            1 => (ushort)eax,
            2 => (ushort)eax | ((ulong)(ushort)edx << 16),
            _ => eax | ((ulong)edx << 32),
        };
    }

    private static void StoreWide(CpuState* cpu, int size, ulong value)
    {
        if (size == 1)
        {
            Interpreter.Store((byte*)cpu->Gpr, 2, (uint)value);
            return;
        }

        Interpreter.Store((byte*)cpu->Gpr, size, (uint)value);
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Edx), size, (uint)(value >> (size * 8)));
    }

    private static void StoreQuotient(CpuState* cpu, int size, uint quotient, uint remainder)
    {
        if (size == 1)
        {
            Interpreter.Store((byte*)cpu->Gpr, 2, (quotient & 0xFF) | (remainder << 8));
        }
        else
        {
            Interpreter.Store((byte*)cpu->Gpr, size, quotient);
            Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Edx), size, remainder);
        }

        // Undefined by the manual; Zen sets AF, clears ZF, SF and PF, and keeps CF and OF.
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & (Flags.Cf | Flags.Of)) | Flags.Af);
    }

    internal static void SetOverflow(CpuState* cpu, bool overflow)
    {
        // SF, ZF, AF and PF are undefined by the manual; Zen keeps them.
        uint kept = LazyFlags.Status(cpu) & ~(Flags.Cf | Flags.Of);
        LazyFlags.SetStatus(cpu, kept | (overflow ? Flags.Cf | Flags.Of : 0));
    }
}
