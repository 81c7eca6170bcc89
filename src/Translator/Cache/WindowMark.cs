using Dbt.Translator.Emit;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>A comparison that always fails, before an access by the address window: where the access is, and where it goes on if it faults.</summary>
/// <param name="Next">Where code goes on.</param>
/// <param name="Exit">Where it goes on if the access faults.</param>
/// <param name="IsInverted">Whether the branch leads on: RyuJIT turns a comparison around where it likes the other order of blocks better.</param>
internal readonly record struct WindowMark(ulong Next, ulong Exit, bool IsInverted)
{
    /// <summary>Instructions between two that belong together, at most. An exit may have as many registers to put where others expect them.</summary>
    public const int MostBetween = 8;

    // Whatever has that displacement is taken for one.
    /// <summary>Whether an instruction reads what only marks read.</summary>
    public static bool IsRead(in Instruction i) => i.MemoryBase != Register.None && i.MemoryIndex == Register.None
        && (i.MemoryDisplacement64 == (ulong)StateLayout.NoFault || i.MemoryDisplacement64 == (ulong)StateLayout.NoRepeat);

    /// <summary>Whether a mark is one of an access, and not only there to be repeated.</summary>
    public static bool IsOfAccess(in Instruction compare) => compare.MemoryDisplacement64 == (ulong)StateLayout.NoFault;

    /// <summary>The branch of a mark. Moves may stand before it, as they leave the flags alone.</summary>
    /// <param name="code">The instructions by their offsets.</param>
    /// <param name="compare">The comparison.</param>
    /// <param name="branch">Its branch.</param>
    /// <param name="mark">What the two say.</param>
    public static bool TryFind(SortedDictionary<ulong, Instruction> code, in Instruction compare, out Instruction branch, out WindowMark mark)
    {
        ulong at = compare.NextIP;
        for (int i = 0; i < MostBetween && code.TryGetValue(at, out branch); i++)
        {
            if (branch.Code is Code.Je_rel8_64 or Code.Je_rel32_64 or Code.Jne_rel8_64 or Code.Jne_rel32_64)
            {
                bool inverted = branch.Code is Code.Je_rel8_64 or Code.Je_rel32_64;
                mark = inverted ? new WindowMark(branch.NearBranchTarget, branch.NextIP, true) : new WindowMark(branch.NextIP, branch.NearBranchTarget, false);
                return true;
            }

            if (branch.Mnemonic is not (Mnemonic.Mov or Mnemonic.Lea or Mnemonic.Movzx or Mnemonic.Nop))
            {
                break;
            }

            at = branch.NextIP;
        }

        branch = default;
        mark = default;
        return false;
    }
}
