namespace Dbt.Cli;

/// <summary>What the command ends with.</summary>
internal static class ExitStatus
{
    /// <summary>The guest powered itself off; or what was asked for is done.</summary>
    public const int Success = 0;

    /// <summary>Anything else: the host failed, or the user left.</summary>
    public const int Failure = 1;

    /// <summary>The command line, the configuration or a file named by it can't be used.</summary>
    public const int Usage = 2;

    /// <summary>The guest crashed.</summary>
    public const int GuestCrash = 3;

    /// <summary>--timeout passed, as timeout(1) has it.</summary>
    public const int Timeout = 124;

    /// <summary>A signal ended the command, as shells have it.</summary>
    public static int Signal(int number) => 128 + number;
}
