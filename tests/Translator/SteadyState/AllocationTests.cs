namespace Dbt.Tests.Translator.SteadyState;

/// <summary>Guest code that has settled takes nothing from the garbage collector's heap, whichever way it leaves translated code.</summary>
public sealed class AllocationTests
{
    private static readonly string[] s_engines = ["interpreter", "quick", "optimized", "tiered-direct"];

    public static TheoryData<string, string> Runs
    {
        get
        {
            var runs = new TheoryData<string, string>();
            foreach (string program in SteadyRun.Names)
            {
                foreach (string engine in s_engines)
                {
                    runs.Add(program, engine);
                }
            }

            return runs;
        }
    }

    [X64Theory]
    [MemberData(nameof(Runs))]
    public void AMillionInstructionsAllocateNothing(string program, string engine)
    {
        using var run = new SteadyRun(program, EngineUnderTest.Options(engine));
        Assert.Equal(0, Allocated.Undisturbed(() =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            run.Go();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }));
    }
}
