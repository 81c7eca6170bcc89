using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// Which blocks need the flags that arrive, and which take them over from their only predecessor. An exit counts as a use:
/// a fault's frame shows all of EFLAGS.
/// </summary>
internal static class FlagLiveness
{
    private const RflagsBits Status = RflagsBits.CF | RflagsBits.PF | RflagsBits.AF | RflagsBits.ZF | RflagsBits.SF | RflagsBits.OF;

    // Instructions that are emitted once more at a loop's end; a store of flags takes four.
    private const int MostRepeated = 8;

    private enum Effect
    {
        None,
        Use,
        Define,
    }

    /// <summary>Fills <see cref="GuestBlock.FlagsLiveIn"/> and <see cref="GuestBlock.InheritsFlags"/>. Blocks are in emission order.</summary>
    public static void Compute(Region region)
    {
        var position = new Dictionary<GuestBlock, int>();
        for (int i = 0; i < region.Blocks.Count; i++)
        {
            position[region.Blocks[i]] = i;
        }

        var effects = new Dictionary<GuestBlock, Effect>();
        foreach (GuestBlock block in region.Blocks)
        {
            block.InheritsFlags = !block.IsEntry && !block.IsIndirectTarget && block.Predecessors.Count == 1
                && position[block.Predecessors[0]] < position[block];
            effects[block] = EffectOf(region, block);
            block.FlagsLiveIn = effects[block] == Effect.Use;
        }

        bool changed;
        do
        {
            changed = false;
            for (int i = region.Blocks.Count - 1; i >= 0; i--)
            {
                GuestBlock block = region.Blocks[i];
                if (!block.FlagsLiveIn && effects[block] == Effect.None && (block.LeavesRegion || block.Successors.Exists(next => next.FlagsLiveIn)))
                {
                    block.FlagsLiveIn = true;
                    changed = true;
                }
            }
        }
        while (changed);
    }

    /// <summary>
    /// Where in a block the flags that arrive are of no use any more: before the first instruction that makes all of them anew and can't leave. Only plain integer instructions are before it, few of them.
    /// </summary>
    /// <returns>Its place in the block; 0 where there is none, or no instruction before it.</returns>
    public static int ReplacedAt(Region region, GuestBlock block)
    {
        for (int i = 0; i < Math.Min(block.Instructions.Count, MostRepeated + 1); i++)
        {
            Instruction instruction = block.Instructions[i];
            if (i > 0 && Defines(instruction) && (instruction.RflagsRead & Status) == 0 && !MayLeave(region, instruction))
            {
                return i;
            }

            if (instruction.FlowControl != FlowControl.Next || instruction.HasLockPrefix || InstructionTable.Lookup(instruction) is not { TestClass: TestClass.Alu or TestClass.Move or TestClass.Stack or TestClass.Shift or TestClass.Bit }
                || Translatable.Routine(instruction, region) is null)
            {
                break;
            }
        }

        return 0;
    }

    private static Effect EffectOf(Region region, GuestBlock block)
    {
        foreach (ref readonly Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
        {
            if ((instruction.RflagsRead & Status) != 0 || MayLeave(region, instruction))
            {
                return Effect.Use;
            }

            if (Defines(instruction))
            {
                return Effect.Define;
            }
        }

        return Effect.None;
    }

    /// <summary>
    /// Whether all six flags are new. Not asked of Iced, because an undefined flag often means that the old one stays here.
    /// </summary>
    private static bool Defines(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Add or Mnemonic.Sub or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Neg
            or Mnemonic.Adc or Mnemonic.Sbb => true,
        Mnemonic.Comisd or Mnemonic.Comiss or Mnemonic.Ucomisd or Mnemonic.Ucomiss or Mnemonic.Ptest
            or Mnemonic.Fcomi or Mnemonic.Fcomip or Mnemonic.Fucomi or Mnemonic.Fucomip => true,
        Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar => InstructionEmitter.IsImmediate(instruction, 1) && (instruction.GetImmediate(1) & 31) != 0,
        _ => false,
    };

    private static bool MayLeave(Region region, in Instruction instruction)
    {
        if (instruction.IsStackInstruction || instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Cli or Mnemonic.Sti || EmitSimd.MayLeave(instruction.Mnemonic)
            || EmitMmx.IsMmx(instruction))
        {
            return true;
        }

        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI)
                && instruction.Mnemonic is not (Mnemonic.Lea or Mnemonic.Nop))
            {
                return true;
            }
        }

        return Translatable.Routine(instruction, region) is not { } routine || (region.MixesX87AndMmx && routine == EmitX87.Run);
    }
}
