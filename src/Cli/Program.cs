return await Dbt.Cli.CommandLine.RunAsync(args);
