namespace Dbt.Tests.Translator.Oracle;

/// <summary>Whose answers are the right ones.</summary>
internal interface IOracleReference : IDisposable
{
    /// <summary>Runs vectors over one background.</summary>
    /// <param name="background">Contents of all pages before each vector: <see cref="OracleLayout.LiveBytes"/>.</param>
    /// <param name="vectors">Any number of vectors.</param>
    /// <returns>An outcome for each vector, valid for good.</returns>
    Outcome[] Run(byte[] background, IReadOnlyList<TestVector> vectors);
}

/// <summary>
/// The interpreter, whose x87, MMX and SSE instructions are the host's own one by one: what translated code is held to where the host's
/// kernel runs no 32-bit programs.
/// </summary>
internal sealed class InterpreterReference : IOracleReference
{
    private readonly GuestProcessor _interpreter = OracleTests.Engine("interpreter");

    /// <inheritdoc/>
    public Outcome[] Run(byte[] background, IReadOnlyList<TestVector> vectors)
    {
        Outcome[] outcomes = [.. vectors.Select(vector => _interpreter.Run(background, vector).Copy())];
        foreach (Outcome outcome in outcomes)
        {
            // As the host's harness has it.
            outcome.Unusable |= outcome.Vector == HarnessProgram.TimedOut;
        }

        return outcomes;
    }

    /// <inheritdoc/>
    public void Dispose() => _interpreter.Dispose();
}
