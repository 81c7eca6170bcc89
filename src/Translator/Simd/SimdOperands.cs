using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dbt.Translator.Interpretation.Native;

namespace Dbt.Translator.Simd;

/// <summary>What an instruction means, apart from where its operands are.</summary>
internal delegate void SimdRoutine(in SimdOperands operands);

/// <summary>
/// The operands of one execution, as addresses. A source may be the very register that is written: a routine reads all it needs before it
/// writes <see cref="Result"/>, or <see cref="Result"/> is a copy beside it.
/// </summary>
internal unsafe struct SimdOperands
{
    /// <summary>Where operand 0 is written; XMM0 for PCMPxSTRM. Holds the old value.</summary>
    public byte* Result;

    /// <summary>Operand 0 as a source.</summary>
    public byte* First;

    /// <summary>Operand 1: a register or the memory operand; null for an immediate.</summary>
    public byte* Second;

    /// <summary>XMM0, which blends and masked operations take without naming it.</summary>
    public byte* Implicit;

    /// <summary>General registers and flags.</summary>
    public NativeRegisters* Registers;

    /// <summary>MXCSR with all exceptions masked; flags are added to it.</summary>
    public uint* Mxcsr;

    /// <summary>The immediate byte.</summary>
    public int Immediate;

    /// <summary>Bytes of a vector here: 8 where an MMX register takes part, else 16.</summary>
    public int Width;

    /// <summary>Bytes of the memory operand, or 0.</summary>
    public int MemorySize;

    /// <summary>Whether operand 0 is memory.</summary>
    public bool Stores;

    /// <summary>Operand 0 as a vector; an MMX register's upper half is 0.</summary>
    public readonly Vector128<T> Left<T>()
        where T : unmanaged => Load<T>(First);

    /// <summary>Operand 1 as a vector; an MMX register's upper half is 0.</summary>
    public readonly Vector128<T> Right<T>()
        where T : unmanaged => Load<T>(Second);

    /// <summary>Writes operand 0.</summary>
    public readonly void Set<T>(Vector128<T> value)
        where T : unmanaged
    {
        if (Width == 8)
        {
            Unsafe.WriteUnaligned(Result, value.AsUInt64().ToScalar());
        }
        else
        {
            Unsafe.WriteUnaligned(Result, value);
        }
    }

    /// <summary>Writes a general register or a narrower memory operand: the low bytes of a value, a register zero-extended.</summary>
    public readonly void SetScalar(uint value)
    {
        switch (MemorySize)
        {
            case 1:
                *Result = (byte)value;
                break;
            case 2:
                Unsafe.WriteUnaligned(Result, (ushort)value);
                break;
            default:
                Unsafe.WriteUnaligned(Result, value);
                break;
        }
    }

    private readonly Vector128<T> Load<T>(byte* from)
        where T : unmanaged =>
        Width == 8
            ? Vector128.CreateScalar(Unsafe.ReadUnaligned<ulong>(from)).As<ulong, T>()
            : Unsafe.ReadUnaligned<Vector128<T>>(from);
}
