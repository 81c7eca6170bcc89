using System.Diagnostics.CodeAnalysis;
using System.Reflection.Emit;

namespace Dbt.Translator.Emit;

/// <summary>
/// Counts what is carried out, exactly, with few additions. <see cref="Retired"/> lags behind by a number that is known at each place: where a block begins it is the same on all ways
/// (<see cref="GuestBlock.Uncounted"/>). The first way that is emitted decides it, so only others that lag by another number add the difference: mostly the way back of a loop, and exits.
/// </summary>
internal sealed partial class InstructionEmitter
{
    private int _uncounted;

    /// <summary>Instructions retired and not yet added to the state, but for those that are uncounted at the place.</summary>
    public LocalBuilder Retired { get; }

    /// <summary>
    /// The block is carried out up to and with this instruction. Called once by what ends a block, after the last place where it may leave.
    /// </summary>
    /// <param name="branch">Where it may branch; null where it doesn't.</param>
    public void Retire(uint? branch = null)
    {
        _uncounted += Position + 1;
        if (branch is { } target && BranchesDirectly(target, out GuestBlock? block))
        {
            // On the branch itself there is no room for an addition.
            CountUpTo(block);
            _uncounted = block.Uncounted!.Value;
        }
    }

    private bool BranchesDirectly(uint target, [NotNullWhen(true)] out GuestBlock? block) =>
        Region.ByStart.TryGetValue(target, out block) && target > Eip && !MustSpill(block);

    /// <summary>Brings the count to where the block has it that is gone to.</summary>
    private void CountUpTo(GuestBlock block)
    {
        block.Uncounted ??= _uncounted;
        Count(_uncounted - block.Uncounted.Value);
    }

    private void Count(int instructions)
    {
        if (instructions != 0)
        {
            Il.Emit(OpCodes.Ldloc, Retired);
            Il.Emit(OpCodes.Ldc_I8, (long)instructions);
            Il.Emit(OpCodes.Add);
            Il.Emit(OpCodes.Stloc, Retired);
        }
    }
}
