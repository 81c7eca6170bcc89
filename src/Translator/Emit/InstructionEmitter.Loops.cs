using System.Reflection.Emit;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

/// <summary>
/// Loops whose last flags are of no use to the next turn, but for accesses that may leave before there are others. Instead of storing them at each turn, the loop's end has those first instructions itself, where the flags
/// are known as they are, and goes on behind them.
/// </summary>
internal sealed partial class InstructionEmitter
{
    private readonly Dictionary<GuestBlock, (int Position, Label Label)> _replaced = [];

    // What spans check there has to be checked once more: a pointer may be another in the next turn.
    private bool _repeating;

    /// <summary>Begins the instruction before which ends of loops go on, where that is one. At its beginning.</summary>
    public void MarkReplaced()
    {
        if (Optimized && Position == 0)
        {
            bool repeats = Block.FlagsLiveIn && !Block.InheritsFlags && Block.Predecessors.Exists(before => before.Start >= Block.Start);
            if (repeats && FlagLiveness.ReplacedAt(Region, Block) is int position and not 0)
            {
                _replaced[Block] = (position, Il.DefineLabel());
            }
        }

        if (_replaced.TryGetValue(Block, out (int Position, Label Label) replaced) && replaced.Position == Position)
        {
            Il.MarkLabel(replaced.Label);
        }
    }

    private bool Repeats(GuestBlock block) => MustSpill(block) && _replaced.ContainsKey(block);

    /// <summary>Writes a block's first instructions behind the present one, with its flags, and goes on where they are of no use any more. Nothing of the present block may follow.</summary>
    private void Repeat(GuestBlock block)
    {
        (int position, Label label) = _replaced[block];
        Block = block;
        _uncounted = block.Uncounted!.Value;
        BeginSpans(block);
        _repeating = true;
        for (int i = 0; i < position; i++)
        {
            Instruction instruction = block.Instructions[i];
            BeginInstruction(instruction, i);
            if (!Translatable.Routine(instruction, Region)!(this, instruction))
            {
                // As where it is emitted itself: the region is emitted once more then.
                Region.Untranslatable.Add(Eip);
                Il.Emit(OpCodes.Br, SideExit(SideExitKind.Untranslated));
                return;
            }

            EndInstruction(instruction);
        }

        _repeating = false;
        Il.Emit(OpCodes.Br, label);
    }
}
