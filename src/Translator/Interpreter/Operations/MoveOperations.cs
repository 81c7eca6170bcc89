using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>Moves: MOV, MOVZX, MOVSX, LEA, XCHG, BSWAP, XLAT, CMOVcc, SETcc, CMPXCHG, CMPXCHG8B, XADD, MOVBE.</summary>
internal static unsafe class MoveOperations
{
    /// <summary>MOV between general registers, memory and immediates.</summary>
    public static bool Mov(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (!interpreter.TryOperand1(cpu, in d, size, out uint value))
        {
            return false;
        }

        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        Interpreter.Store(pointer, size, value);
        interpreter.Commit(cpu);
        return true;
    }

    /// <summary>MOVZX.</summary>
    public static bool Movzx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.SourceSize, out uint value))
        {
            return false;
        }

        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, value);
        return true;
    }

    /// <summary>MOVSX.</summary>
    public static bool Movsx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.SourceSize, out uint value))
        {
            return false;
        }

        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, (uint)Interpreter.SignExtend(value, d.SourceSize));
        return true;
    }

    /// <summary>LEA: the offset alone.</summary>
    public static bool Lea(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, Interpreter.EffectiveAddress(cpu, in d));
        return true;
    }

    /// <summary>XCHG; with memory always locked.</summary>
    public static bool Xchg(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* register = Interpreter.Register(cpu, d.Register1);
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        uint mine = Interpreter.Load(register, size);
        uint old;
        if (d.Kind0 == OperandKind.Register)
        {
            old = Interpreter.Load(pointer, size);
            Interpreter.Store(pointer, size, mine);
        }
        else if (interpreter.NeedsSplitLock(pointer, size))
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            old = Interpreter.Load(pointer, size);
            interpreter.StoreSplit(cpu, pointer, size, old, mine);
        }
        else
        {
            old = Interpreter.Exchange(pointer, size, mine);
            interpreter.Commit(cpu);
        }

        Interpreter.Store(register, size, old);
        return true;
    }

    /// <summary>XADD.</summary>
    public static bool Xadd(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* register = Interpreter.Register(cpu, d.Register1);
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        uint b = Interpreter.Load(register, size);
        uint a;
        if ((d.Flags & DecodedFlags.Lock) == 0)
        {
            a = Interpreter.Load(pointer, size);
            Interpreter.Store(register, size, a);
            Interpreter.Store(pointer, size, a + b);
            interpreter.Commit(cpu);
        }
        else
        {
            if (interpreter.NeedsSplitLock(pointer, size))
            {
                using Lock.Scope scope = Interpreter.EnterSplitLock();
                interpreter.RefreshSplit();
                a = Interpreter.Load(pointer, size);
                interpreter.StoreSplit(cpu, pointer, size, a, a + b);
            }
            else
            {
                uint seen = Interpreter.Load(pointer, size);
                do
                {
                    a = seen;
                    seen = Interpreter.CompareExchange(pointer, size, a + b, a);
                }
                while (seen != a);
                interpreter.Commit(cpu);
            }

            Interpreter.Store(register, size, a);
        }

        LazyFlags.Set(cpu, FlagOperation.Add, size, a, b, (a + b) & Interpreter.Mask(size));
        return true;
    }

    /// <summary>CMPXCHG. Memory is written in either case, as the manual says.</summary>
    public static bool Cmpxchg(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        uint accumulator = Interpreter.Load((byte*)cpu->Gpr, size);
        uint value = Interpreter.Load(Interpreter.Register(cpu, d.Register1), size);
        uint old;
        if ((d.Flags & DecodedFlags.Lock) != 0 && !interpreter.NeedsSplitLock(pointer, size))
        {
            old = Interpreter.CompareExchange(pointer, size, value, accumulator);
            interpreter.Commit(cpu);
        }
        else if ((d.Flags & DecodedFlags.Lock) != 0)
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            old = Interpreter.Load(pointer, size);
            interpreter.StoreSplit(cpu, pointer, size, old, old == accumulator ? value : old);
        }
        else
        {
            old = Interpreter.Load(pointer, size);
            if (old == accumulator)
            {
                Interpreter.Store(pointer, size, value);
            }
            else if (d.Kind0 == OperandKind.Memory)
            {
                Interpreter.Store(pointer, size, old);
            }

            interpreter.Commit(cpu);
        }

        if (old != accumulator)
        {
            Interpreter.Store((byte*)cpu->Gpr, size, old);
        }

        LazyFlags.Set(cpu, FlagOperation.Subtract, size, accumulator, old, (accumulator - old) & Interpreter.Mask(size));
        return true;
    }

    /// <summary>CMPXCHG8B, always done as a host atomic where it lies in one cache line.</summary>
    public static bool Cmpxchg8b(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte* pointer = interpreter.Open(cpu, in d, 8, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        ulong expected = cpu->Gpr[(int)Gpr.Eax] | ((ulong)cpu->Gpr[(int)Gpr.Edx] << 32);
        ulong value = cpu->Gpr[(int)Gpr.Ebx] | ((ulong)cpu->Gpr[(int)Gpr.Ecx] << 32);
        ulong old;
        if (interpreter.NeedsSplitLock(pointer, 8))
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            old = Unsafe.ReadUnaligned<ulong>(pointer);
            interpreter.StoreSplit8(cpu, pointer, old, old == expected ? value : old);
        }
        else
        {
            old = Interlocked.CompareExchange(ref *(ulong*)pointer, value, expected);
            interpreter.Commit(cpu);
        }

        uint flags = LazyFlags.Status(cpu) & ~Flags.Zf;
        if (old == expected)
        {
            flags |= Flags.Zf;
        }
        else
        {
            cpu->Gpr[(int)Gpr.Eax] = (uint)old;
            cpu->Gpr[(int)Gpr.Edx] = (uint)(old >> 32);
        }

        LazyFlags.SetStatus(cpu, flags);
        return true;
    }

    /// <summary>BSWAP; of a 16-bit register undefined, and zero on real processors.</summary>
    public static bool Bswap(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte* register = Interpreter.Register(cpu, d.Register0);
        if (d.Size == 2)
        {
            Interpreter.Store(register, 2, 0);
            return true;
        }

        Interpreter.Store(register, 4, BinaryPrimitives.ReverseEndianness(Interpreter.Load(register, 4)));
        return true;
    }

    /// <summary>XLAT.</summary>
    public static bool Xlat(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint offset = cpu->Gpr[(int)Gpr.Ebx] + (cpu->Gpr[0] & 0xFF);
        if ((d.Flags & DecodedFlags.Address16) != 0)
        {
            offset &= 0xFFFF;
        }

        byte* pointer = interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, offset, 1, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        Interpreter.Store((byte*)cpu->Gpr, 1, Interpreter.Load(pointer, 1));
        return true;
    }

    /// <summary>CMOVcc: the source is read, and may fault, in either case.</summary>
    public static bool Cmov(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, d.Size, out uint value))
        {
            return false;
        }

        if (LazyFlags.Condition(cpu, d.Condition))
        {
            Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, value);
        }

        return true;
    }

    /// <summary>SETcc.</summary>
    public static bool Set(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.TryStore0(cpu, in d, 1, LazyFlags.Condition(cpu, d.Condition) ? 1u : 0);

    /// <summary>MOVBE.</summary>
    public static bool Movbe(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (!interpreter.TryOperand1(cpu, in d, size, out uint value))
        {
            return false;
        }

        value = size == 2 ? BinaryPrimitives.ReverseEndianness((ushort)value) : BinaryPrimitives.ReverseEndianness(value);
        return interpreter.TryStore0(cpu, in d, size, value);
    }

    /// <summary>NOP and its relatives that only hint.</summary>
    public static bool Nop(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => true;

    /// <summary>MFENCE, LFENCE, SFENCE.</summary>
    public static bool Fence(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interlocked.MemoryBarrier();
        return true;
    }
}
