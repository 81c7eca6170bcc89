using System.Runtime.InteropServices;
using Dbt.Translator.Emit.Routines;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// Finds floating-point results that nothing reads: RyuJIT would leave their computation out, and with it the exception flags.
/// Errs on the side of calling a result unread, which costs a store. Every exit reads all registers.
/// </summary>
internal static class VectorLiveness
{
    private const int All = 0xFF;

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>Fills <see cref="GuestBlock.DeadVectors"/>.</summary>
    public static void Compute(Region region)
    {
        if ((Translatable.UnitsOf(region) & State.LiveUnit.Mxcsr) == 0)
        {
            return;
        }

        var liveIn = new Dictionary<GuestBlock, int>();
        bool changed;
        do
        {
            changed = false;
            for (int i = region.Blocks.Count - 1; i >= 0; i--)
            {
                GuestBlock block = region.Blocks[i];
                int live = Scan(region, block, LiveOut(block, liveIn));
                if (live != liveIn.GetValueOrDefault(block))
                {
                    liveIn[block] = live;
                    changed = true;
                }
            }
        }
        while (changed);
    }

    private static int LiveOut(GuestBlock block, Dictionary<GuestBlock, int> liveIn)
    {
        if (block.LeavesRegion)
        {
            return All;
        }

        uint last = block.Instructions[^1].IP32;
        int live = 0;
        foreach (GuestBlock next in block.Successors)
        {
            // An edge backwards polls, and may leave.
            live |= next.Start <= last ? All : liveIn.GetValueOrDefault(next);
        }

        return live;
    }

    private static int Scan(Region region, GuestBlock block, int live)
    {
        InstructionInfoFactory factory = s_factory ??= new InstructionInfoFactory();
        Span<Instruction> instructions = CollectionsMarshal.AsSpan(block.Instructions);
        block.DeadVectors.Clear();
        for (int i = instructions.Length - 1; i >= 0; i--)
        {
            ref readonly Instruction instruction = ref instructions[i];
            EmitRoutine? routine = Translatable.Routine(instruction, region);
            if (routine is null || (HasMemory(instruction) && routine != EmitMoves.Nop))
            {
                // It may leave before anything is done. A store to memory needs what it reads in any case.
                MarkDead(instruction, i, block, live, factory);
                live = All;
                continue;
            }

            live = MarkDead(instruction, i, block, live, factory);
        }

        return live;
    }

    /// <returns>What is read before the instruction or after it.</returns>
    private static int MarkDead(in Instruction instruction, int position, GuestBlock block, int live, InstructionInfoFactory factory)
    {
        int read = 0, written = 0;
        foreach (UsedRegister used in factory.GetInfo(instruction).GetUsedRegisters())
        {
            if (!used.Register.IsXMM())
            {
                continue;
            }

            int bit = 1 << (used.Register - Register.XMM0);
            bool writes = used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            bool reads = used.Access is OpAccess.Read or OpAccess.CondRead or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            read |= reads ? bit : 0;
            written |= writes ? bit : 0;
        }

        read = EmitSimd.IsIdiom(instruction) || MayDiscard(instruction) ? 0 : read;
        bool raises = EmitSimd.UsesMxcsr(instruction.Mnemonic);
        bool dead = written != 0 && (written & live) == 0;
        if (raises && dead)
        {
            block.DeadVectors.Add(position);
        }

        // What raises flags is kept in any case; another result that is not read is left out, and what it reads with it.
        bool stays = raises || (written & live) != 0;
        return (live & ~written) | (stays ? read : 0);
    }

    /// <summary>Whether an immediate may make a result that depends on no operand, or on one of two only: RyuJIT sees that.</summary>
    private static bool MayDiscard(in Instruction instruction) =>
        instruction.OpCount > 1 && InstructionEmitter.IsImmediate(instruction, instruction.OpCount - 1) && !EmitSimd.UsesMxcsr(instruction.Mnemonic);

    private static bool HasMemory(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory && instruction.Mnemonic != Mnemonic.Lea)
            {
                return true;
            }
        }

        return false;
    }
}
