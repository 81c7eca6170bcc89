namespace Dbt.Translator.Emit.Spans;

/// <summary>Which block every way to another one leads through (Cooper, Harvey and Kennedy's iteration over reverse post-order).</summary>
internal static class Dominators
{
    private const int Unknown = -2, Outside = -1;

    /// <summary>The immediate dominator of each block, by place; null where the block can be entered from outside by more than one way.</summary>
    public static GuestBlock?[] Of(Region region)
    {
        List<GuestBlock> blocks = region.Blocks;
        var place = new Dictionary<GuestBlock, int>();
        for (int i = 0; i < blocks.Count; i++)
        {
            place[blocks[i]] = i;
        }

        int[] dominators = new int[blocks.Count];
        Array.Fill(dominators, Unknown);
        bool changed;
        do
        {
            changed = false;
            for (int i = 0; i < blocks.Count; i++)
            {
                int dominator = Meet(blocks[i], place, dominators);
                if (dominator != dominators[i])
                {
                    dominators[i] = dominator;
                    changed = true;
                }
            }
        }
        while (changed);
        return Array.ConvertAll(dominators, number => number < 0 ? null : blocks[number]);
    }

    private static int Meet(GuestBlock block, Dictionary<GuestBlock, int> place, int[] dominators)
    {
        if (block.IsEntry || block.IsIndirectTarget)
        {
            return Outside;
        }

        int common = Unknown;
        foreach (GuestBlock before in block.Predecessors)
        {
            if (place.TryGetValue(before, out int number) && dominators[number] != Unknown)
            {
                common = common == Unknown ? number : Common(common, number, dominators);
            }
        }

        return common;
    }

    private static int Common(int first, int second, int[] dominators)
    {
        while (first != second && first >= 0 && second >= 0)
        {
            if (first > second)
            {
                first = dominators[first];
            }
            else
            {
                second = dominators[second];
            }
        }

        return first == second ? first : Outside;
    }
}
