using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

internal sealed unsafe partial class Interpreter
{
    /// <summary>Reads 1, 2 or 4 bytes, zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Load(byte* pointer, int size) => size switch
    {
        4 => Volatile.Read(ref *(uint*)pointer),
        1 => Volatile.Read(ref *pointer),
        _ => Volatile.Read(ref *(ushort*)pointer),
    };

    /// <summary>Writes 1, 2 or 4 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* pointer, int size, uint value)
    {
        switch (size)
        {
            case 4:
                Volatile.Write(ref *(uint*)pointer, value);
                break;
            case 1:
                Volatile.Write(ref *pointer, (byte)value);
                break;
            default:
                Volatile.Write(ref *(ushort*)pointer, (ushort)value);
                break;
        }
    }

    /// <summary>All ones of an operand size in bytes (1, 2, 4).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Mask(int size) => uint.MaxValue >> (32 - (size * 8));

    /// <summary>Sign-extends a value of 1, 2 or 4 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SignExtend(uint value, int size) => (int)(value << (32 - (size * 8))) >> (32 - (size * 8));

    /// <summary>A general register by its byte offset.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Register(CpuState* cpu, int offset) => (byte*)cpu->Gpr + offset;

    /// <summary>Host pointer to operand 0, a register or memory; null for a fault.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Operand0(CpuState* cpu, in DecodedInstruction d, MemoryAccess access) =>
        d.Kind0 == OperandKind.Register ? Register(cpu, d.Register0) : Open(cpu, in d, d.Size, access);

    /// <summary>Value of operand 1: immediate, register or memory of <paramref name="size"/> bytes, zero-extended.</summary>
    /// <returns>False for a fault.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryOperand1(CpuState* cpu, in DecodedInstruction d, int size, out uint value)
    {
        if (d.Kind1 == OperandKind.Immediate)
        {
            value = d.Immediate;
            return true;
        }

        byte* pointer = d.Kind1 == OperandKind.Register ? Register(cpu, d.Register1) : Open(cpu, in d, size, MemoryAccess.Read);
        if (pointer == null)
        {
            value = 0;
            return false;
        }

        value = Load(pointer, size);
        return true;
    }

    /// <summary>Value of operand 0: register, memory or immediate.</summary>
    /// <returns>False for a fault.</returns>
    public bool TryOperand0(CpuState* cpu, in DecodedInstruction d, int size, out uint value)
    {
        if (d.Kind0 == OperandKind.Immediate)
        {
            value = d.Immediate;
            return true;
        }

        byte* pointer = d.Kind0 == OperandKind.Register ? Register(cpu, d.Register0) : Open(cpu, in d, size, MemoryAccess.Read);
        if (pointer == null)
        {
            value = 0;
            return false;
        }

        value = Load(pointer, size);
        return true;
    }

    /// <summary>Writes operand 0, a register or memory, of <paramref name="size"/> bytes.</summary>
    /// <returns>False for a fault; nothing is written then.</returns>
    public bool TryStore0(CpuState* cpu, in DecodedInstruction d, int size, uint value)
    {
        if (d.Kind0 == OperandKind.Register)
        {
            Store(Register(cpu, d.Register0), size, value);
            return true;
        }

        byte* pointer = Open(cpu, in d, size, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        Store(pointer, size, value);
        Commit(cpu);
        return true;
    }
}
