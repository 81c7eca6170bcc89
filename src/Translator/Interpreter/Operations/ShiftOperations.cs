using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>What a shift or rotate computes.</summary>
internal interface IShift
{
    /// <summary>Whether SF, ZF, AF and PF are set (shifts), or kept (rotates).</summary>
    static abstract bool SetsAll { get; }

    /// <summary>Shifts a zero-extended value; the count is 1 to 31.</summary>
    /// <param name="a">The value.</param>
    /// <param name="count">1 to 31.</param>
    /// <param name="bits">8, 16 or 32.</param>
    /// <param name="carry">CF before, and after.</param>
    /// <param name="overflow">OF after, also for counts above 1, where the manual leaves it undefined: as AMD's Zen leaves it.</param>
    /// <returns>The result, bits above the size ignored.</returns>
    static abstract uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow);
}

/// <summary>SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD.</summary>
internal static unsafe class ShiftOperations
{
    /// <summary>The routine of one shift or rotate.</summary>
    public static bool Execute<TShift>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
        where TShift : struct, IShift
    {
        int size = d.Size;
        int count = (int)(d.Kind1 == OperandKind.Immediate ? d.Immediate : cpu->Gpr[(int)Gpr.Ecx]) & 31;
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        if (count == 0)
        {
            interpreter.AbandonWrite();
            return true;
        }

        bool carry = LazyFlags.Carry(cpu) != 0;
        uint result = TShift.Compute(Interpreter.Load(pointer, size), count, size * 8, ref carry, out bool overflow) & Interpreter.Mask(size);
        Interpreter.Store(pointer, size, result);
        interpreter.Commit(cpu);

        // AF is undefined after a shift; Zen sets it.
        uint others = TShift.SetsAll
            ? LazyFlags.ZeroSignParity(result, size) | Flags.Af
            : LazyFlags.Status(cpu) & ~(Flags.Cf | Flags.Of);
        LazyFlags.SetStatus(cpu, others | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0));
        return true;
    }

    /// <summary>SHLD.</summary>
    public static bool Shld(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Double(interpreter, cpu, in d, true);

    /// <summary>SHRD.</summary>
    public static bool Shrd(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Double(interpreter, cpu, in d, false);

    private static bool Double(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, bool left)
    {
        int size = d.Size;
        int bits = size * 8;
        int count = (int)(d.Kind2 == OperandKind.Immediate ? d.Immediate : cpu->Gpr[(int)Gpr.Ecx]) & 31;
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        if (count == 0)
        {
            interpreter.AbandonWrite();
            return true;
        }

        uint a = Interpreter.Load(pointer, size);
        uint b = Interpreter.Load(Interpreter.Register(cpu, d.Register1), size);
        bool carry = false;
        uint result;
        if (count > bits)
        {
            // 16-bit only; all undefined. Zen rotates the second operand, and clears CF.
            int turn = count - bits;
            result = left ? (b << turn) | (b >> (bits - turn)) : (b >> turn) | (b << (bits - turn));
        }
        else if (left)
        {
            ulong wide = (((ulong)a << bits) | b) << count;
            result = (uint)(wide >> bits);
            carry = ((a >> (bits - count)) & 1) != 0;
        }
        else
        {
            ulong wide = ((ulong)b << bits) | a;
            result = (uint)(wide >> count);
            carry = ((wide >> (count - 1)) & 1) != 0;
        }

        result &= Interpreter.Mask(size);
        Interpreter.Store(pointer, size, result);
        interpreter.Commit(cpu);
        bool top = (result >> (bits - 1)) != 0;
        bool overflow = left ? count <= bits && top != carry : top != (((result >> (bits - 2)) & 1) != 0);
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, size) | Flags.Af
            | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0));
        return true;
    }
}

/// <summary>SHL, SAL.</summary>
internal readonly struct ShlShift : IShift
{
    public static bool SetsAll => true;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        ulong wide = (ulong)a << count;
        carry = ((wide >> bits) & 1) != 0;
        overflow = carry != (((wide >> (bits - 1)) & 1) != 0);
        return (uint)wide;
    }
}

/// <summary>SHR.</summary>
internal readonly struct ShrShift : IShift
{
    public static bool SetsAll => true;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        carry = ((a >> (count - 1)) & 1) != 0;
        uint result = a >> count;
        overflow = ((result >> (bits - 2)) & 1) != 0;
        return result;
    }
}

/// <summary>SAR.</summary>
internal readonly struct SarShift : IShift
{
    public static bool SetsAll => true;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        int signed = (int)(a << (32 - bits)) >> (32 - bits);
        carry = ((signed >> (count - 1)) & 1) != 0;
        overflow = false;
        return (uint)(signed >> count);
    }
}

/// <summary>ROL.</summary>
internal readonly struct RolShift : IShift
{
    public static bool SetsAll => false;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        int turn = count & (bits - 1);
        uint result = turn == 0 ? a : (a << turn) | (a >> (bits - turn));
        carry = (result & 1) != 0;
        overflow = carry != (((result >> (bits - 1)) & 1) != 0);
        return result;
    }
}

/// <summary>ROR.</summary>
internal readonly struct RorShift : IShift
{
    public static bool SetsAll => false;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        int turn = count & (bits - 1);
        uint result = turn == 0 ? a : (a >> turn) | (a << (bits - turn));
        carry = ((result >> (bits - 1)) & 1) != 0;
        overflow = carry != (((result >> (bits - 2)) & 1) != 0);
        return result;
    }
}

/// <summary>RCL: a rotation of bits + 1 bits.</summary>
internal readonly struct RclShift : IShift
{
    public static bool SetsAll => false;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        int turn = count % (bits + 1);
        ulong wide = a | (carry ? 1UL << bits : 0);
        wide = turn == 0 ? wide : (wide << turn) | (wide >> (bits + 1 - turn));
        carry = ((wide >> bits) & 1) != 0;
        overflow = carry != (((wide >> (bits - 1)) & 1) != 0);
        return (uint)wide;
    }
}

/// <summary>RCR: a rotation of bits + 1 bits.</summary>
internal readonly struct RcrShift : IShift
{
    public static bool SetsAll => false;

    public static uint Compute(uint a, int count, int bits, ref bool carry, out bool overflow)
    {
        int turn = count % (bits + 1);
        ulong wide = a | (carry ? 1UL << bits : 0);
        wide = turn == 0 ? wide : (wide >> turn) | (wide << (bits + 1 - turn));
        carry = ((wide >> bits) & 1) != 0;
        overflow = ((wide >> (bits - 1)) & 1) != ((wide >> (bits - 2)) & 1);
        return (uint)wide;
    }
}
