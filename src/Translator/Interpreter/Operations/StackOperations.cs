using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>PUSH, POP, PUSHA, POPA, ENTER, LEAVE.</summary>
internal static unsafe class StackOperations
{
    /// <summary>PUSH of a register, immediate or memory.</summary>
    public static bool Push(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.TryOperand0(cpu, in d, d.Size, out uint value) && interpreter.Push(cpu, in d, d.Size, value);

    /// <summary>POP. A memory operand's address is computed after ESP has grown.</summary>
    public static bool Pop(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d), size, MemoryAccess.Read);
        if (stack == null)
        {
            return false;
        }

        uint value = Interpreter.Load(stack, size);
        uint before = cpu->Gpr[(int)Gpr.Esp];
        Interpreter.MoveStack(cpu, in d, (uint)size);
        if (interpreter.TryStore0(cpu, in d, size, value))
        {
            return true;
        }

        cpu->Gpr[(int)Gpr.Esp] = before;
        return false;
    }

    /// <summary>PUSHA, PUSHAD.</summary>
    public static bool Pusha(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)(-8 * size)), 8 * size, MemoryAccess.Write);
        if (stack == null)
        {
            // The pushes go downwards, one by one: the fault is the first one's that cannot be made, and memory keeps those before.
            for (int i = 0; i < 8 && TryPushAt(interpreter, cpu, in d, (uint)((i + 1) * size), cpu->Gpr[i]); i++)
            {
            }

            return false;
        }

        for (int i = 0; i < 8; i++)
        {
            Interpreter.Store(stack + (i * size), size, cpu->Gpr[7 - i]);
        }

        interpreter.Commit(cpu);
        Interpreter.MoveStack(cpu, in d, (uint)(-8 * size));
        return true;
    }

    /// <summary>POPA, POPAD; ESP's place is skipped.</summary>
    public static bool Popa(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d), 8 * size, MemoryAccess.Read);
        if (stack == null)
        {
            // The fault is the first word's that cannot be read. Processors find absent pages beforehand; where the segment ends, the
            // registers popped so far keep their values. (The instruction may be restarted all the same: the stack pointer has not moved.)
            uint* popped = stackalloc uint[8];
            int count = 0;
            while (count < 8 && interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)(count * size)), size, MemoryAccess.Read) is var word && word != null)
            {
                popped[count++] = Interpreter.Load(word, size);
            }

            for (int i = 0; i < count && cpu->Fault.Vector == Vector.StackFault; i++)
            {
                StorePopped(cpu, 7 - i, size, popped[i]);
            }

            return false;
        }

        for (int i = 0; i < 8; i++)
        {
            StorePopped(cpu, 7 - i, size, Interpreter.Load(stack + (i * size), size));
        }

        Interpreter.MoveStack(cpu, in d, (uint)(8 * size));
        return true;
    }

    private static void StorePopped(CpuState* cpu, int register, int size, uint value)
    {
        if (register != (int)Gpr.Esp)
        {
            Interpreter.Store((byte*)(cpu->Gpr + register), size, value);
        }
    }

    /// <summary>LEAVE.</summary>
    public static bool Leave(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        bool stack16 = (d.Flags & DecodedFlags.Stack16) != 0;
        uint frame = cpu->Gpr[(int)Gpr.Ebp];
        uint offset = stack16 ? frame & 0xFFFF : frame;
        byte* stack = interpreter.OpenStack(cpu, in d, offset, size, MemoryAccess.Read);
        if (stack == null)
        {
            return false;
        }

        uint value = Interpreter.Load(stack, size);
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Esp), stack16 ? 2 : 4, offset + (uint)size);
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Ebp), size, value);
        return true;
    }

    /// <summary>
    /// ENTER, with up to 31 outer frame pointers. Memory keeps the pushes that were made before a fault, as processors leave it;
    /// the registers are unchanged then.
    /// </summary>
    public static bool Enter(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        int level = (int)d.Extra & 31;
        bool stack16 = (d.Flags & DecodedFlags.Stack16) != 0;
        uint ebp = cpu->Gpr[(int)Gpr.Ebp];

        // All of ESP counts where the operands have 32 bits, though only SP moves in a 16-bit stack.
        uint frame = Interpreter.StackOffset(cpu, in d, (uint)-size) | (stack16 ? cpu->Gpr[(int)Gpr.Esp] & 0xFFFF0000 : 0);
        uint down = (uint)size;
        if (!TryPushAt(interpreter, cpu, in d, down, ebp))
        {
            return false;
        }

        for (int i = 1; i < level; i++)
        {
            uint outer = ebp - (uint)(i * size);
            byte* pointer = interpreter.OpenStack(cpu, in d, stack16 ? outer & 0xFFFF : outer, size, MemoryAccess.Read);
            down += (uint)size;
            if (pointer == null || !TryPushAt(interpreter, cpu, in d, down, Interpreter.Load(pointer, size)))
            {
                return false;
            }
        }

        if (level != 0)
        {
            down += (uint)size;
            if (!TryPushAt(interpreter, cpu, in d, down, frame))
            {
                return false;
            }
        }

        // The last access of ENTER checks that the new top of the stack can be written (SDM, ENTER, operation).
        uint locals = d.Immediate & 0xFFFF;
        uint top = Interpreter.StackOffset(cpu, in d, (uint)-(int)(down + locals));
        if (interpreter.OpenStack(cpu, in d, top, size, MemoryAccess.Write) == null)
        {
            return false;
        }

        interpreter.AbandonWrite();
        Interpreter.MoveStack(cpu, in d, (uint)-(int)(down + locals));
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Ebp), size == 2 ? 2 : 4, frame);
        return true;
    }

    // Writes below the stack pointer, which stays.
    private static bool TryPushAt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint below, uint value)
    {
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)-(int)below), d.Size, MemoryAccess.Write);
        if (stack == null)
        {
            return false;
        }

        Interpreter.Store(stack, d.Size, value);
        interpreter.Commit(cpu);
        return true;
    }
}
