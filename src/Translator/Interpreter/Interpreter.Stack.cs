using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

internal sealed unsafe partial class Interpreter
{
    /// <summary>The stack pointer plus <paramref name="delta"/>, as an offset in SS: 16 bits in a 16-bit stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint StackOffset(CpuState* cpu, in DecodedInstruction d, uint delta = 0)
    {
        uint offset = cpu->Gpr[(int)Gpr.Esp] + delta;
        return (d.Flags & DecodedFlags.Stack16) == 0 ? offset : offset & 0xFFFF;
    }

    /// <summary>Adds to ESP, or to SP in a 16-bit stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MoveStack(CpuState* cpu, in DecodedInstruction d, uint delta)
    {
        if ((d.Flags & DecodedFlags.Stack16) == 0)
        {
            cpu->Gpr[(int)Gpr.Esp] += delta;
        }
        else
        {
            *(ushort*)(cpu->Gpr + (int)Gpr.Esp) += (ushort)delta;
        }
    }

    /// <summary>Pushes 2 or 4 bytes.</summary>
    /// <returns>False for a fault; nothing has changed then.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Push(CpuState* cpu, in DecodedInstruction d, int size, uint value)
    {
        byte* stack = OpenStack(cpu, in d, StackOffset(cpu, in d, (uint)-size), size, MemoryAccess.Write);
        if (stack == null)
        {
            return false;
        }

        Store(stack, size, value);
        Commit(cpu);
        MoveStack(cpu, in d, (uint)-size);
        return true;
    }
}
